// A queue: its counts, what blocks it, and its last day.

import { get } from "./api.js";
import { hoursChart } from "./chart.js";
import { element, facts, link, section, table } from "./elements.js";
import { hashOf, jobList } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { badge, causeWords, number, plural } from "./status.js";
import { ago, duration, elapsed } from "./time.js";
import { money, usage } from "./usage.js";

export async function queue(page, query, name) {
  const found = await get(["queues", name], {}, page.signal);
  const { lastDay } = found;
  page.show(name,
    element("nav", { class: "path", "aria-label": "Breadcrumb" }, link("#/", "Overview")),
    element("div", { class: "title" }, element("h1", {}, name), asOf(found)),
    found.blocked && blocked(found),
    element("ul", { class: "tiles" }, Object.entries(found.counts ?? {}).map(([status, count]) =>
      element("li", {}, link(hashFor({ queue: name, status }),
        element("b", {}, atLeast(found, count)), badge(status))))),
    lastDay && element("div", { class: "two" },
      section("Last 24 hours", hoursChart(found.hours ?? []), day(name, lastDay)),
      section("Wait and run times", times(lastDay), causes(lastDay.causes))),
    section("Latest failures",
      jobList(page, ["jobs"], { queue: name, status: "FAILED" }, { only: 5, none: "No failed jobs." })),
    section("Last 30 days", days(found.days ?? [])));
}

const asOf = ({ asOf }) =>
  element("span", { class: "soft" }, asOf ? ["counted ", ago(asOf)] : "not counted yet");

export const atLeast = ({ countsAreAtLeast }, count) => `${number(count)}${countsAreAtLeast && count ? "+" : ""}`;

// Why a waiting job of the queue may wait, for the page of that job.
export function queueWords(found, jobId) {
  if (found.blocked) return [blocked(found, jobId)];
  const { counts, lastDay } = found;
  const wait = lastDay?.waitSeconds;
  if (!counts) return [];
  return [element("p", { class: "soft" },
    link(`#/queues/${encodeURIComponent(found.jobQueue)}`, found.jobQueue),
    ` has ${plural(counts.RUNNABLE, "job")} RUNNABLE and ${number(counts.RUNNING)} RUNNING. `,
    wait && `Wait times of the last 24 hours: p50 ${duration(wait.p50)}, p90 ${duration(wait.p90)}.`)];
}

function blocked({ jobQueue, blocked }, jobId) {
  const { since, cause, explanation, reason } = blocked;
  const head = blocked.jobId === jobId ? "this job" : link(hashOf(blocked.jobId), "the job at the head of the queue");
  return element("div", { class: "why failed" },
    element("h2", {}, `${jobQueue} is blocked${cause ? `: ${cause}` : ""}`),
    element("p", {}, explanation),
    element("p", { class: "quoted" }, "Blocked for ", elapsed(since), ...(blocked.jobId ? [" by ", head] : []),
      ...(reason ? [". Reported by AWS Batch: ", element("q", {}, reason)] : ["."])));
}

const day = (name, { succeeded, failed, usage: total, cost }) => facts([
  ["Succeeded", link(hashFor({ queue: name, status: "SUCCEEDED", since: "-24h" }), number(succeeded))],
  ["Failed", link(hashFor({ queue: name, status: "FAILED", since: "-24h" }), number(failed))],
  ["Usage", usage(total)],
  ["Wasted", usage(total.wasted)],
  ["Cost (estimate)", cost && money(cost)],
]);

function causes(counted) {
  const most = Object.entries(counted).sort(([, a], [, b]) => b - a);
  return most.length > 0 && [element("h2", { class: "next" }, "Failure causes"),
    facts(most.map(([cause, count]) => [causeWords(cause), number(count)]))];
}

function times({ waitSeconds, runSeconds }) {
  if (!waitSeconds && !runSeconds) return element("p", { class: "none" }, "No jobs ran in the last 24 hours.");
  const row = (what, seconds) => [what, ...["p50", "p90", "p99"].map((p) => duration(seconds?.[p]) ?? "")];
  return table("Wait and run times", ["Jobs that ran", ["p50", "number"], ["p90", "number"], ["p99", "number"]],
    [row("Wait time", waitSeconds), row("Run time", runSeconds)]);
}

function days(all) {
  const eventful = all.filter(({ succeeded, failed }) => succeeded + failed > 0).reverse();
  if (eventful.length === 0) return element("p", { class: "none" }, "No jobs ended.");
  return table("Days", ["Day", ["Succeeded", "number"], ["Failed", "number"], "Usage", "Cost (estimate)"],
    eventful.map(({ day, succeeded, failed, usage: total, cost }) =>
      [day.slice(0, 10), number(succeeded), number(failed), usage(total), cost ? money(cost) : ""]));
}
