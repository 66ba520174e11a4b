// The children of an array, or the nodes of a multi-node job: how many are in each status, all of them
// as a grid, and a list that is updated together with the parent.

import { Unauthorized } from "./api.js";
import { button, drawing, element, section } from "./elements.js";
import { grid } from "./grid.js";
import { hashOf, liveList } from "./job_list.js";
import { visibleFor } from "./live.js";
import { badge, number, STATUSES, tone } from "./status.js";

// The list of an array in which children end all the time is not loaded more often.
const PAUSE = 5_000;
const BAR = ["succeeded", "failed", "unknown", "running", "starting", "waiting"];
const WIDTH = 1000;

// `update` shows another version of the parent. The chosen status is part of the address.
export function children(page, query, parent, copy) {
  const { jobId } = parent;
  let { array } = parent;
  let status = (query.get("children") ?? "").toUpperCase();
  let isUpdating = false;
  let isOutdated = false;
  let list;
  const cells = array?.childStatuses ? grid(jobId) : null;
  const counts = element("div", {});
  const failed = element("p", { class: "indexes" });
  const listed = element("div", {});

  function choose(chosen) {
    status = chosen;
    history.replaceState(null, "", `${hashOf(jobId)}${status && `?children=${status}`}`);
    draw();
    load();
  }

  function load() {
    const none = status ? "No children in this status." : "No children recorded yet.";
    list = liveList(page, ["jobs", jobId, "children"], { status }, { none, children: true });
    listed.replaceChildren(list.element);
  }

  function draw() {
    const focused = counts.contains(document.activeElement) && document.activeElement.id;
    counts.replaceChildren(bar(array) ?? "", filters());
    if (focused) document.getElementById(focused)?.focus();
    if (array?.failed) failed.replaceChildren("Failed: ", element("code", {}, array.failed),
      button("Copy", () => copy(array.failed), { id: "copy-indexes", "aria-label": "Copy the indexes of failed children" }));
    cells?.draw(array.childStatuses ?? "", status);
  }

  // In the order of a job's life. Without counts, as for nodes, all statuses.
  function filters() {
    const summary = array?.statusSummary;
    const others = Object.keys(summary ?? {}).filter((each) => !STATUSES.includes(each));
    const offered = STATUSES.filter((each) => !summary || summary[each] || each === status);
    const recorded = Object.values(summary ?? {}).reduce((sum, count) => sum + count, 0);
    const missing = summary && array.size - recorded;
    const filter = (value, ...content) => element("button", { type: "button", id: `children-${value}`, class: "chip",
      "aria-pressed": String(value === status), onclick: () => choose(value) }, content);
    const count = (each) => summary && element("b", {}, number(summary[each] ?? 0));
    return element("div", { class: "counts", role: "group", "aria-label": "Status of the children" },
      filter("", "All", array?.size && element("b", {}, number(array.size))),
      offered.map((each) => filter(each, badge(each), count(each))),
      others.map((each) => element("span", { class: "chip" }, badge(each), count(each))),
      missing > 0 && element("span", { class: "soft" }, `${number(missing)} not recorded yet`));
  }

  async function update(changed) {
    if (JSON.stringify(changed.array) === JSON.stringify(array)) return;
    array = changed.array;
    draw();
    isOutdated = true;
    if (isUpdating) return;
    isUpdating = true;
    while (isOutdated && !page.signal.aborted) {
      isOutdated = false;
      await list.reload().catch((error) => { if (error instanceof Unauthorized) page.failed(error); });
      await visibleFor(PAUSE, page.signal);
    }
    isUpdating = false;
  }

  draw();
  load();
  return { element: section(array ? "Children" : "Nodes", counts, failed, cells?.element ?? "", listed), update };
}

// As for lists, the children that have ended come first.
function bar(array) {
  if (!array?.statusSummary || !array.size) return null;
  const sums = new Map();
  for (const [status, count] of Object.entries(array.statusSummary)) sums.set(tone(status), (sums.get(tone(status)) ?? 0) + count);
  let x = 0;
  return drawing("svg", { class: "bar", viewBox: `0 0 ${WIDTH} 8`, preserveAspectRatio: "none", height: 8, "aria-hidden": "true" },
    drawing("rect", { class: "rest", width: WIDTH, height: 8 }),
    BAR.filter((kind) => sums.has(kind)).map((kind) => {
      const width = Math.max(3, (sums.get(kind) / array.size) * WIDTH);
      x += width;
      return drawing("rect", { class: kind, x: x - width, width: Math.max(1, width - 1), height: 8 });
    }));
}
