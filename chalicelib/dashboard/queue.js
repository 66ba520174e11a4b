// One queue: how many jobs are where, whether something blocks it, and how the last day went.

import { get } from "./api.js";
import { hoursChart } from "./chart.js";
import { element, facts, link, section, table } from "./elements.js";
import { hashOf, jobList } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { badge, causeWords, number, plural } from "./status.js";
import { ago, duration, elapsed } from "./time.js";
import { money, used } from "./use.js";

export async function queue(page, query, name) {
  const found = await get(["queues", name], {}, page.signal);
  const { lastDay } = found;
  page.show(name,
    element("nav", { class: "path", "aria-label": "Where this queue is" }, link("#/", "Queues")),
    element("div", { class: "title" }, element("h1", {}, name), asOf(found)),
    found.blocked && blocked(found),
    element("ul", { class: "tiles" }, Object.entries(found.counts).map(([status, count]) =>
      element("li", {}, link(hashFor({ queue: name, status }),
        element("b", {}, atLeast(found, count)), badge(status))))),
    element("div", { class: "two" },
      section("The last 24 hours", hoursChart(found.hours ?? []), day(name, lastDay)),
      section("Times", times(lastDay), causes(lastDay.causes))),
    section("Newest failures",
      jobList(page, ["jobs"], { queue: name, status: "FAILED" }, { only: 5, none: "None." })),
    section("The last 30 days", days(found.days ?? [])));
}

const asOf = ({ asOf }) =>
  element("span", { class: "soft" }, asOf ? ["counted ", ago(asOf)] : "not counted yet");

export const atLeast = ({ countsAreAtLeast }, count) => `${number(count)}${countsAreAtLeast && count ? "+" : ""}`;

// Why jobs of the queue may wait, for the page of one that does.
export function queueWords(found, jobId) {
  if (found.blocked) return [blocked(found, jobId)];
  const { counts, lastDay } = found;
  const wait = lastDay?.waitSeconds;
  return [element("p", { class: "soft" },
    link(`#/queues/${encodeURIComponent(found.jobQueue)}`, found.jobQueue),
    ` has ${plural(counts.RUNNABLE, "job")} RUNNABLE and ${number(counts.RUNNING)} RUNNING. `,
    wait && `Of those that ran in the last 24 hours, half had waited for less than ${duration(wait.p50)}, 90 % for less than ${duration(wait.p90)}.`)];
}

function blocked({ jobQueue, blocked }, jobId) {
  const { since, cause, explanation, reason } = blocked;
  const head = blocked.jobId === jobId ? "this job" : link(hashOf(blocked.jobId), "the job at its head");
  return element("div", { class: "why failed" },
    element("h2", {}, `${jobQueue} is blocked${cause ? `: ${cause}` : ""}`),
    element("p", {}, explanation),
    element("p", { class: "quoted" }, "For ", elapsed(since), ", by ", blocked.jobId ? head : "the job at its head", ". AWS Batch says: ",
      element("q", {}, reason)));
}

const day = (name, { succeeded, failed, use, cost }) => facts([
  ["Succeeded", link(hashFor({ queue: name, status: "SUCCEEDED", since: "-24h" }), number(succeeded))],
  ["Failed", link(hashFor({ queue: name, status: "FAILED", since: "-24h" }), number(failed))],
  ["Used", use && used(use)],
  ["Of it for nothing", use && used(use.wasted)],
  ["Cost (an estimate)", cost && money(cost)],
]);

function causes(counted) {
  const most = Object.entries(counted).sort(([, a], [, b]) => b - a);
  return most.length > 0 && [element("h2", { class: "next" }, "Why jobs failed"),
    facts(most.map(([cause, count]) => [causeWords(cause), number(count)]))];
}

function times({ waitSeconds, runSeconds }) {
  if (!waitSeconds && !runSeconds) return element("p", { class: "none" }, "Nothing ran in the last 24 hours.");
  const row = (what, seconds) => [what, ...["p50", "p90", "p99"].map((p) => duration(seconds?.[p]) ?? "")];
  return table("Wait and run times", ["Of the jobs that ran", ["Half", "number"], ["90 %", "number"], ["99 %", "number"]],
    [row("Waited less than", waitSeconds), row("Ran less than", runSeconds)]);
}

function days(all) {
  const eventful = all.filter(({ succeeded, failed }) => succeeded + failed > 0).reverse();
  if (eventful.length === 0) return element("p", { class: "none" }, "No job ended.");
  return table("Days", ["Day", ["Succeeded", "number"], ["Failed", "number"], "Used", "Cost (an estimate)"],
    eventful.map(({ day, succeeded, failed, use, cost }) =>
      [day.slice(0, 10), number(succeeded), number(failed), used(use), cost ? money(cost) : ""]));
}
