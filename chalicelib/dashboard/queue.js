// A queue: what blocks it, its last day and month, its environments and the jobs at its head.

import { attention, percent, rate, sign } from "./attention.js";
import { get } from "./api.js";
import { amounts, history } from "./chart.js";
import { element, facts, link, section, table } from "./elements.js";
import { hashOf, jobList } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { causeWords, mostFrequent, number, plural, STARTING, WAITING } from "./status.js";
import { ago, elapsed, percentiles } from "./time.js";
import { money, usage } from "./usage.js";

const HEAD = 5;
const DEFINITIONS = 8;

export async function queue(page, query, name) {
  const found = await get(["queues", name], {}, page.signal);
  const { lastDay } = found;
  const kinds = new Set(attention([found]).map(({ kind }) => kind));
  page.show(name,
    element("nav", { class: "path", "aria-label": "Breadcrumb" }, link("#/", "Overview")),
    element("div", { class: "title" }, element("h1", {}, name), [...kinds].map(sign), asOf(found)),
    found.blocked && blocked(found),
    found.counts && figures(found),
    lastDay && element("div", { class: "wide" },
      element("div", {}, history(found)),
      element("div", {}, causes(name, lastDay))),
    section("Latest failures",
      jobList(page, ["jobs"], { queue: name, status: "FAILED" }, { only: 5, none: "No failed jobs." })),
    element("div", { class: "two" }, environments(found), head(found)));
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
    wait && `Wait times of the last 24 hours: ${percentiles(wait)}.`)];
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

function figures(found) {
  const { jobQueue, counts, oldestWaiting, lastDay, dayBefore } = found;
  const [failed, usual] = [rate(lastDay), rate(dayBefore ?? {})];
  const jobs = (words, text) => link(hashFor({ queue: jobQueue, ...words }), text);
  const counted = (statuses) => statuses.map((status) =>
    element("small", {}, jobs({ status }, `${atLeast(found, counts[status] ?? 0)} ${status}`)));
  return element("div", { class: "figures" }, facts([
    ["Waiting", [counted(WAITING), oldestWaiting && element("small", {}, "oldest ", elapsed(oldestWaiting))]],
    ["Running", counted([...STARTING, "RUNNING"])],
    ["Succeeded, 24 h", jobs({ status: "SUCCEEDED", since: "-24h" }, number(lastDay.succeeded))],
    ["Failed, 24 h", [jobs({ status: "FAILED", since: "-24h" }, number(lastDay.failed)),
      failed != null && element("small", { class: lastDay.failed && "failed" }, percent(failed)),
      usual != null && element("small", {}, `${percent(usual)} the day before`)]],
    ["Wait time", percentiles(lastDay.waitSeconds)],
    ["Run time", percentiles(lastDay.runSeconds)],
    ["Usage, 24 h", [usage(lastDay.usage), element("small", {}, `wasted: ${usage(lastDay.usage.wasted)}`)]],
    ["Cost, 24 h", lastDay.cost && money(lastDay.cost)],
  ]));
}

function causes(jobQueue, { causes, definitions, failed }) {
  if (!failed) return section("Failures in 24 hours", element("p", { class: "none" }, "No jobs failed."));
  const named = mostFrequent(definitions, DEFINITIONS);
  return [
    section("Why jobs failed in 24 hours",
      amounts(mostFrequent(causes).map(([cause, count]) => [causeWords(cause), count])),
      element("p", { class: "after" }, link(hashFor({ queue: jobQueue, status: "FAILED", since: "-24h" }), `All ${plural(failed, "failure")}`))),
    named.length > 0 && section("Failures by job definition", amounts(named)),
  ];
}

function environments({ environments = [], consumableResources = [], quotaShares = [], state, status, statusReason, environmentsAsOf }) {
  if (!environmentsAsOf) return null;
  const vcpus = ({ desiredVcpus, maxVcpus }) =>
    maxVcpus == null ? "" : `${number(desiredVcpus)} of ${number(maxVcpus)} vCPUs`;
  const words = (each) => [`${each.state}, ${each.status}`,
    each.status === "INVALID" && element("small", { class: "failed" }, each.statusReason)];
  return section("Environments",
    element("p", { class: "soft" }, `Queue: ${state}, ${status}. Described by AWS Batch `, ago(environmentsAsOf), ".",
      status === "INVALID" && ` ${statusReason}`),
    environments.length > 0 && table("Environments", ["Name", "Type", "State", ["In use", "number"]],
      environments.map((each) => [each.name, each.type ?? "", words(each), vcpus(each)])),
    facts([
      ...consumableResources.map(({ name, available, total }) => [name, `${number(available)} of ${number(total)} available`]),
      ...quotaShares.map(({ name, state, inUse, maxCapacity, capacityUnit }) =>
        [name, `${state}, ${number(inUse)} of ${number(maxCapacity) ?? "no limit"} ${capacityUnit ?? ""}`]),
    ]));
}

function head({ head = [], headAsOf }) {
  if (!head.length) return null;
  return section("Head of the queue",
    element("p", { class: "soft" }, `The first ${head.length === 1 ? "job" : `${number(Math.min(HEAD, head.length))} jobs`} to start, as of `, ago(headAsOf), "."),
    table("Head of the queue", [["No.", "number"], "Job", ["Has had this position for", "soft"]],
      head.slice(0, HEAD).map(({ jobId, since }, n) => [n + 1, link(hashOf(jobId), jobId), since ? elapsed(since) : ""])));
}
