// The time zone of all times on the page: the browser's, or UTC if the user chooses it. The choice is
// kept on this device.

import { element } from "./elements.js";

const NAME = "batchwatch.zone";
const LOCAL = new Intl.DateTimeFormat().resolvedOptions().timeZone;
const FORMATS = {
  exact: { dateStyle: "medium", timeStyle: "long" },
  clock: { timeStyle: "medium" },
  minute: { timeStyle: "short" },
  day: { day: "numeric", month: "short" },
  date: { dateStyle: "short" },
};

const zone = () => (localStorage.getItem(NAME) === "UTC" ? "UTC" : LOCAL);

const formatsOf = (timeZone) => Object.fromEntries(Object.entries(FORMATS).map(
  ([name, format]) => [name, new Intl.DateTimeFormat("en-GB", { ...format, timeZone })]));

let formats = formatsOf(zone());

// `kind` is a key of FORMATS.
export const formatted = (kind, at) => formats[kind].format(new Date(at));

// Fills the select element with the zones, and calls `changed` when the user chooses another one.
export function offerZones(select, changed) {
  select.append(...[...new Set([LOCAL, "UTC"])].map((each) =>
    element("option", { value: each, selected: each === zone() }, each.replaceAll("_", " "))));
  select.addEventListener("change", () => {
    if (select.value === LOCAL) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, select.value);
    formats = formatsOf(zone());
    changed();
  });
}
