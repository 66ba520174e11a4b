// The display of an error: what happened, and what to do about it. `level` is the element of its heading.

import { Failed, NotFound, Unreachable } from "./api.js";
import { button, element } from "./elements.js";

export function problem(error, tryAgain, level = "h2") {
  const { heading, text } = words(error);
  return element("div", { class: "problem", role: "alert" },
    element(level, {}, heading),
    element("p", {}, text),
    tryAgain && button("Try again", tryAgain));
}

function words(error) {
  if (error instanceof NotFound)
    return { heading: "Not found", text: `${sentence(error.message)} It may be in a queue that your token does not cover.` };
  if (error instanceof Unreachable)
    return { heading: "The API is unreachable", text: "Check your network connection. The data on this page may be out of date." };
  if (error instanceof Failed)
    return { heading: error.status < 500 ? "Request failed" : "The API returned an error", text: sentence(error.message) };
  return { heading: "Error in this page", text: `${sentence(String(error))} Reload the page. If the error persists, report it.` };
}

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
