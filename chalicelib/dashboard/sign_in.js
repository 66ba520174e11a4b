// The form for the API token, which is checked before it is stored.

import { get, Unauthorized } from "./api.js";
import { element } from "./elements.js";
import { problem } from "./problem.js";
import { forget, keep } from "./token.js";

// Calls `signedIn` when a valid token is stored. `wasRejected`: the stored token was rejected.
export function signIn(page, signedIn, wasRejected) {
  const message = element("div", { id: "message" });
  const input = element("input", {
    id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "message",
  });
  const onThisDevice = element("input", { id: "keep", type: "checkbox" });
  const form = element("form", { class: "card sign-in", onsubmit: submit },
    element("h1", {}, "Sign in"),
    element("p", {}, "Enter an API token. ", element("code", {}, "make token"), " creates one for a stage in AWS; ",
      element("code", {}, "make run"), " prints the token of the local stack."),
    element("input", { autocomplete: "username", value: "batchwatch", hidden: true }),
    element("label", { for: "token" }, "API token"), input,
    element("label", { class: "choice" }, onThisDevice, "Keep it on this device (otherwise until its tabs are closed)"),
    message,
    element("button", { class: "first" }, "Sign in"));

  async function submit(event) {
    event.preventDefault();
    const given = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) return showError("Invalid token: it is empty or contains characters that no token has.");
    keep(given, onThisDevice.checked);
    try {
      await get(["queues"], {}, page.signal);
      signedIn();
    } catch (error) {
      forget();
      if (error instanceof Unauthorized) showError("Token rejected. Check that you copied all of it and that it belongs to this stage.");
      else if (!page.signal.aborted) message.replaceChildren(problem(error));
    }
  }

  function showError(text) {
    message.replaceChildren(element("p", { class: "wrong", role: "alert" }, text));
    input.focus();
  }

  page.show("Sign in", form);
  if (wasRejected) showError("The stored token was rejected. It may have been revoked.");
  else input.focus();
}
