// Asks for the API token, and tries it before it is kept.

import { get, Refused } from "./api.js";
import { element } from "./elements.js";
import { problem } from "./problem.js";
import { forget, keep } from "./token.js";

// `signedIn` is called with a token that is let in. `wasRefused`: there was one, and it is not any more.
export function signIn(page, signedIn, wasRefused) {
  const said = element("div", { id: "said" });
  const input = element("input", {
    id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "said",
  });
  const onThisDevice = element("input", { id: "keep", type: "checkbox" });
  const form = element("form", { class: "card sign-in", onsubmit: submit },
    element("h1", {}, "Sign in"),
    element("p", {}, "With an API token: ", element("code", {}, "make token"), " makes one for a stage in AWS, ",
      element("code", {}, "make run"), " prints the one of this machine."),
    element("input", { autocomplete: "username", value: "batchwatch", hidden: true }),
    element("label", { for: "token" }, "API token"), input,
    element("label", { class: "choice" }, onThisDevice, "Keep it on this device; otherwise until this tab is closed"),
    said,
    element("button", { class: "first" }, "Sign in"));

  async function submit(event) {
    event.preventDefault();
    const given = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) return say("That is no token: it has other characters, or none.");
    keep(given, onThisDevice.checked);
    try {
      await get(["jobs"], { limit: 1 }, page.signal);
      signedIn();
    } catch (error) {
      forget();
      if (error instanceof Refused) say("This token is not let in. Check that all of it was copied, and for which stage it is.");
      else if (!page.signal.aborted) said.replaceChildren(problem(error));
    }
  }

  function say(text) {
    said.replaceChildren(element("p", { class: "wrong", role: "alert" }, text));
    input.focus();
  }

  page.show("Sign in", form);
  if (wasRefused) say("The token that was used here is not let in, or not any more.");
  else input.focus();
}
