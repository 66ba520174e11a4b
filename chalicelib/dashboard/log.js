// The end of a job's log: open if the job failed or runs, followed while it runs, and searchable.

import { get, Unauthorized } from "./api.js";
import { button, element } from "./elements.js";
import { visibleFor } from "./live.js";
import { sentence } from "./problem.js";
import { plural } from "./status.js";
import { clock } from "./time.js";

const FEW = 100;
const MANY = 1000;
const FOLLOW = 10_000;
// Control sequences of terminals (ECMA-48): colours, cursor movements, titles and links.
const CONTROL = /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]/g;
const ERROR = /\b(\w*error|\w*exception|fatal|traceback|killed|panic|segmentation fault)\b/i;

// `show` loads the log of an attempt, by default of the last one; `follow` loads it again and again
// until `isOver` returns true.
export function log(page, id) {
  const search = element("input", { type: "search", id: "log-search", placeholder: "Search the log", "aria-label": "Search the log", oninput: () => filter() });
  const found = element("span", { class: "soft", role: "status" });
  const place = element("div", { class: "log" }, button(`Show the last ${FEW} lines`, () => show(), { id: "show-log" }));
  let shown = null;

  async function show(attempt, lines = FEW) {
    place.replaceChildren(element("p", { class: "loading" }, "Loading…"));
    await load(attempt, lines);
    page.announce(shown ? `Showing the last ${plural(shown.lines.length, "line")}` : "No log");
  }

  async function load(attempt, limit) {
    try {
      shown = { ...(await get(["jobs", id, "logs"], { attempt, lines: limit }, page.signal)), limit };
      const before = place.querySelector("pre");
      const isAtEnd = !before || before.scrollTop + before.clientHeight >= before.scrollHeight - 4;
      const top = before?.scrollTop;
      place.replaceChildren(...parts(shown));
      filter();
      const text = place.querySelector("pre");
      text.scrollTop = isAtEnd ? text.scrollHeight : top;
    } catch (error) {
      if (error instanceof Unauthorized) page.failed(error);
      else if (!page.signal.aborted) {
        shown = null;
        place.replaceChildren(
          element("p", { class: "none", role: "alert" }, sentence(error.message)),
          button("Try again", () => show(attempt, limit), { id: "show-log" }));
      }
    }
  }

  async function follow(isOver) {
    while (!page.signal.aborted && !isOver()) {
      await visibleFor(FOLLOW, page.signal);
      if (shown && !page.signal.aborted) await load(shown.attempt, shown.limit);
    }
  }

  const parts = ({ attempt, logGroup, logStreamName, lines, limit }) => [
    element("div", { class: "title" },
      element("span", { class: "soft" }, `Attempt ${attempt}, ${logGroup}, ${logStreamName}`),
      found, search,
      button("Refresh", () => show(attempt, limit), { id: "show-log" }),
      lines.length >= limit && limit < MANY && button(`Last ${MANY} lines`, () => show(attempt, MANY), { id: "more-log" }),
    ),
    element("pre", { tabindex: "0", role: "log", "aria-label": `Log of attempt ${attempt}` },
      lines.length ? lines.flatMap(linesOf) : "The log is empty."),
  ];

  // Hides the lines that don't contain the text.
  function filter() {
    const wanted = search.value.toLowerCase();
    const lines = [...place.querySelectorAll("pre > span")];
    for (const line of lines) line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
    found.textContent = wanted && `${plural(lines.filter(({ hidden }) => !hidden).length, "line")} found`;
  }

  return { element: place, show, follow };
}

// A message may contain several lines, and a progress bar separates its states by carriage returns.
const linesOf = ({ at, message }) =>
  message.replace(CONTROL, "").replace(/^[\r\n]+|[\r\n]+$/g, "").split(/\r\n?|\n/).map((line) =>
    element("span", { class: ERROR.test(line) && "failed" }, clock(at), ` ${line}\n`));
