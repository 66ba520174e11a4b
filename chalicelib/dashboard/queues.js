// An overview of the queues, and the latest jobs.

import { get, Unauthorized } from "./api.js";
import { button, element, link, section, table } from "./elements.js";
import { jobList } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { problem } from "./problem.js";
import { atLeast } from "./queue.js";
import { number, STARTING, WAITING } from "./status.js";
import { ago, duration, elapsed } from "./time.js";

const LATEST = 10;
const COLUMNS = ["Queue", ["Waiting", "number"], ["Starting", "number"], ["Running", "number"],
  ["Succeeded*", "number"], ["Failed*", "number"], ["Median wait*", "number"], ["As of", "soft"]];

export function queues(page) {
  const place = element("div", { class: "block" }, element("p", { class: "loading" }, "Loading…"));
  page.show("Queues",
    element("div", { class: "title" }, element("h1", {}, "Queues"), button("Refresh", () => queues(page), { id: "refresh" })),
    place,
    section("Latest jobs",
      jobList(page, ["jobs"], {}, { only: LATEST, none: "No jobs recorded yet. A job appears when its next event is received." }),
      element("p", {}, link("#/jobs", "All jobs"))));
  return fill(page, place);
}

async function fill(page, place) {
  try {
    const found = await get(["queues"], {}, page.signal);
    place.replaceChildren(...found.queues.length
      ? [table("Queues", COLUMNS, found.queues.map(row)), element("p", { class: "note" }, "* in the last 24 hours")]
      : [element("p", { class: "none" }, "No queues recorded yet. A queue appears when the first event of one of its jobs is received.")]);
  } catch (error) {
    if (page.signal.aborted || error instanceof Unauthorized) throw error;
    place.replaceChildren(problem(error, () => fill(page, place)));
  }
}

function row(found) {
  const { jobQueue, counts, lastDay, blocked } = found;
  const counted = (statuses) => {
    const count = statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
    return link(hashFor({ queue: jobQueue, status: statuses.join(",") }), atLeast(found, count));
  };
  const ended = (status, count, kind) =>
    element("a", { href: hashFor({ queue: jobQueue, status, since: "-24h" }), class: count ? kind : null }, number(count));
  return [
    [link(`#/queues/${encodeURIComponent(jobQueue)}`, jobQueue),
      blocked && element("small", { class: "failed" }, "blocked for ", elapsed(blocked.since), blocked.cause && `: ${blocked.cause}`)],
    counted(WAITING), counted(STARTING), counted(["RUNNING"]),
    ended("SUCCEEDED", lastDay.succeeded), ended("FAILED", lastDay.failed, "failed"),
    duration(lastDay.waitSeconds?.p50) ?? "",
    ago(found.asOf) ?? "not counted yet",
  ];
}
