// What is shown when something can't be: always in words, with what to do about it.

import { Declined, NotThere, Unreachable } from "./api.js";
import { button, element } from "./elements.js";

export function problem(error, tryAgain) {
  const { heading, text } = words(error);
  return element("div", { class: "problem", role: "alert" },
    element("h2", {}, heading),
    element("p", {}, text),
    tryAgain && button("Try again", tryAgain));
}

function words(error) {
  if (error instanceof NotThere)
    return { heading: "Nothing found", text: `${sentence(error.message)} Or it is in a queue that your token may not see.` };
  if (error instanceof Unreachable)
    return { heading: "The API does not answer", text: "Check your connection. What is shown here may be old." };
  if (error instanceof Declined)
    return { heading: error.status < 500 ? "That can't be shown" : "The API has a problem", text: sentence(error.message) };
  return { heading: "The page has a problem", text: `${sentence(String(error))} Reload it; if that does not help, report it.` };
}

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
