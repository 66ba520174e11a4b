// What needs a look, the gravest first: the open incidents of all queues, and queues in which more
// jobs fail than usual.

import { drawing, element, link } from "./elements.js";
import { hashOf } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { countedCauses, number, plural } from "./status.js";
import { elapsed, since } from "./time.js";

const RECENT_HOURS = 3;
const MIN_FAILED = 5;
const MIN_RATE = 0.2;
const RANKS = ["QUEUE_BLOCKED", "EVENTS_MISSING", "STUCK", "FAILURES"];

const SIGNS = {
  QUEUE_BLOCKED: ["Blocked", "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11zM4.2 4.2l7.6 7.6"],
  EVENTS_MISSING: ["Events missing", "M2.5 8h3M10.5 8h3M7 5.5l2 5M9 5.5l-2 5"],
  STUCK: ["Stuck", "M4.5 2.5h7M4.5 13.5h7M5 2.5c0 4 6 7 6 11M11 2.5c0 4-6 7-6 11"],
  FAILURES: ["Failing", "M8 2.2l6 11H2zM8 6.5v3M8 11.4v.2"],
};

export const rate = ({ succeeded = 0, failed = 0 } = {}) =>
  succeeded + failed ? failed / (succeeded + failed) : null;

export const percent = (share) => (share == null ? null : `${number(Math.round(share * 1000) / 10)} %`);

export const sum = (hours) => hours.reduce(
  (all, hour) => ({ succeeded: all.succeeded + hour.succeeded, failed: all.failed + hour.failed }),
  { succeeded: 0, failed: 0 });

// Items of a queue: { kind, queue, jobs, since, … }. Jobs that were reported individually are counted together.
function itemsOf(queue) {
  const items = queue.incidents.filter(({ kind, jobs }) => kind !== "STUCK" || jobs > 1).map((each) => ({ ...each, queue }));
  const single = queue.incidents.filter(({ kind, jobs }) => kind === "STUCK" && jobs === 1);
  for (const status of new Set(single.map((each) => each.status))) {
    const stuck = single.filter((each) => each.status === status);
    items.push({ ...stuck[0], queue, jobs: stuck.length });
  }
  const failing = failures(queue);
  if (failing) items.push(failing);
  return items;
}

// More failures in the last hours than is usual for the queue.
function failures(queue) {
  const recent = sum(queue.hours.slice(-RECENT_HOURS));
  const before = sum([...queue.hours.slice(0, -RECENT_HOURS), queue.dayBefore ?? {}].map(({ succeeded = 0, failed = 0 }) => ({ succeeded, failed })));
  const usual = rate(before);
  if (recent.failed < MIN_FAILED || rate(recent) < Math.max(MIN_RATE, 2 * (usual ?? 0))) return null;
  return { kind: "FAILURES", queue, jobs: recent.failed, of: recent.succeeded + recent.failed, usual };
}

const rank = ({ kind }) => RANKS.indexOf(kind);

export const attention = (queues) =>
  queues.flatMap(itemsOf).sort((a, b) => rank(a) - rank(b) || (b.jobs ?? 0) - (a.jobs ?? 0));

// Sorts queues by their gravest item. `a` and `b` are sorted items.
export const byGravity = ([a], [b]) => (a ? rank(a) : RANKS.length) - (b ? rank(b) : RANKS.length);

export const sign = (kind) =>
  element("span", { class: kind === "FAILURES" ? "badge waiting" : "badge failed" }, icon(kind), SIGNS[kind][0]);

const icon = (kind) =>
  drawing("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, drawing("path", { d: SIGNS[kind][1] }));

export function list(items) {
  return element("ul", { class: "attention" }, items.map((item) => {
    const [heading, says, go] = WORDS[item.kind](item);
    return element("li", { class: item.kind === "FAILURES" ? "waiting" : "failed" },
      icon(item.kind),
      element("div", {}, element("b", {}, heading), says && element("p", {}, says)),
      item.since ? element("span", { class: "when" }, "since ", since(item.since), element("small", {}, elapsed(item.since))) : element("span", {}),
      element("span", { class: "go" }, go));
  }));
}

const queueLink = ({ jobQueue }) => link(`#/queues/${encodeURIComponent(jobQueue)}`, jobQueue);

const waitingWords = ({ counts, oldestWaiting }) =>
  counts?.RUNNABLE
    ? [`${plural(counts.RUNNABLE, "job waits", "jobs wait")}`, oldestWaiting && [", the oldest for ", elapsed(oldestWaiting)], ". "]
    : [];

const WORDS = {
  QUEUE_BLOCKED: ({ queue, cause, explanation, jobId, jobName }) => [
    [queueLink(queue), ` is blocked${cause ? `: ${cause}` : ""}`, jobId && [" for ", link(hashOf(jobId), jobName || "a job")]],
    [waitingWords(queue), explanation],
    link(`#/queues/${encodeURIComponent(queue.jobQueue)}`, "What to do"),
  ],
  EVENTS_MISSING: ({ queue, explanation }) => [
    [queueLink(queue), ": no events arrive, but jobs change"], explanation, queueLink(queue),
  ],
  STUCK: ({ queue, status, jobs, reportedJobs, cause, explanation, jobId, jobName }) => [
    [queueLink(queue), `: ${plural(jobs, "job is", "jobs are")} stuck in ${status}`, trend(jobs, reportedJobs)],
    [cause ? `${cause[0].toUpperCase()}${cause.slice(1)}. ` : "No cause is known. ", explanation && [`AWS Batch reports: ${explanation}. `],
      jobs > 1 && jobName && ["Stuck the longest: ", link(hashOf(jobId), jobName), "."]],
    jobs === 1 ? link(hashOf(jobId), "See the job") : link(hashFor({ queue: queue.jobQueue, status }), `See the ${number(jobs)}`),
  ],
  FAILURES: ({ queue, jobs, of, usual }) => [
    [queueLink(queue), `: ${number(jobs)} of ${plural(of, "job")} failed in the last ${RECENT_HOURS} hours`],
    [causesWords(queue.lastDay?.causes), usual == null ? "" : `Usual for this queue: ${percent(usual)}.`],
    link(hashFor({ queue: queue.jobQueue, status: "FAILED", since: `-${RECENT_HOURS}h` }), `See the ${number(jobs)}`),
  ],
};

const trend = (jobs, reported) =>
  reported && reported !== jobs && `, ${jobs > reported ? "up" : "down"} from ${number(reported)} when it was reported`;

function causesWords(causes) {
  const most = countedCauses(causes, 2);
  return most && `In 24 hours: ${most}. `;
}
