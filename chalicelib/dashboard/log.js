// The end of a job's log, loaded on request.

import { get, Unauthorized } from "./api.js";
import { button, element } from "./elements.js";
import { sentence } from "./problem.js";
import { clock } from "./time.js";

const FEW = 100;
const MANY = 1000;

// `show` loads the log of an attempt, by default of the last one.
export function log(page, id) {
  const place = element("div", { class: "log" }, button(`Show the last ${FEW} lines`, () => show(), { id: "show-log" }));

  async function show(attempt, lines = FEW) {
    place.replaceChildren(element("p", { class: "loading" }, "Loading…"));
    place.scrollIntoView({ block: "nearest" });
    try {
      const found = await get(["jobs", id, "logs"], { attempt, lines }, page.signal);
      place.replaceChildren(...parts(found, lines));
      const text = place.querySelector("pre");
      text.scrollTop = text.scrollHeight;
      page.announce(`Showing the last ${found.lines.length} lines`);
    } catch (error) {
      if (error instanceof Unauthorized) page.failed(error);
      else place.replaceChildren(
        element("p", { class: "none", role: "alert" }, sentence(error.message)),
        button("Try again", () => show(attempt, lines), { id: "show-log" }));
    }
  }

  const parts = ({ attempt, logGroup, logStreamName, lines }, limit) => [
    element("div", { class: "title" },
      element("span", { class: "soft" }, `Attempt ${attempt}, ${logGroup}, ${logStreamName}`),
      button("Refresh", () => show(attempt, limit), { id: "show-log" }),
      lines.length >= limit && limit < MANY && button(`Last ${MANY} lines`, () => show(attempt, MANY), { id: "more-log" }),
    ),
    element("pre", { tabindex: "0", role: "log", "aria-label": `Log of attempt ${attempt}` },
      lines.length ? lines.map(({ at, message }) => [clock(at), ` ${message}\n`]) : "The log is empty."),
  ];

  return { element: place, show };
}
