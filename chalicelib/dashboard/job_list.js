// A list of jobs that loads its pages.

import { get, Unauthorized } from "./api.js";
import { button, element, link, table } from "./elements.js";
import { problem } from "./problem.js";
import { badge, causeWords, plural } from "./status.js";
import { ago, duration } from "./time.js";

// A page may be empty and not be the last one: the maximum number of empty pages to skip.
const MAX_EMPTY = 10;

const COLUMNS = ["Status", "Job", "Queue", ["Since", "soft"], ["Run time", "soft"], ["Reason", "why"]];
const CHILD_COLUMNS = COLUMNS.filter((column) => column !== "Queue");

export const hashOf = (id) => `#/jobs/${encodeURIComponent(id)}`;
export const parentOf = (id) => /^(.+)[:#]\d+$/.exec(id)?.[1] ?? null;

export function jobName(job) {
  const [, child] = /([:#]\d+)$/.exec(job.jobId) ?? [];
  return child ? `${job.jobName} ${child}` : job.jobName;
}

// `none` is shown for an empty list; `only` is the number of jobs of a list that has one page.
export function jobList(page, path, query, { none, only, children = false }) {
  const list = table("Jobs", children ? CHILD_COLUMNS : COLUMNS, []);
  const after = element("div", { class: "after" });
  let count = 0;

  async function fetchMore(nextToken) {
    after.replaceChildren(element("p", { class: "loading" }, "Loading…"));
    try {
      const found = await nextJobs(page, path, { limit: only, ...query, nextToken });
      if (page.signal.aborted) return;
      count += found.jobs.length;
      list.tBodies[0].append(...rowsOf(found.jobs, children));
      after.replaceChildren(...end(found.nextToken));
      page.announce(count ? `${plural(count, "job")} listed` : "No jobs");
    } catch (error) {
      if (error instanceof Unauthorized) page.failed(error);
      else if (!page.signal.aborted) after.replaceChildren(problem(error, () => fetchMore(nextToken)));
    }
  }

  function end(nextToken) {
    if (nextToken && !only) return [button("Load more", () => fetchMore(nextToken), { id: "more" })];
    if (count === 0) return [element("p", { class: "none" }, none)];
    return [];
  }

  fetchMore();
  return element("div", { class: "list" }, list, after);
}

async function nextJobs(page, path, query) {
  let found = { jobs: [], nextToken: query.nextToken };
  for (let tries = 0; tries < MAX_EMPTY; tries++) {
    found = await get(path, { ...query, nextToken: found.nextToken }, page.signal);
    if (found.jobs.length || !found.nextToken) break;
  }
  return found;
}

function rowsOf(jobs, children) {
  const rows = jobs.map((job) => [
    badge(job.status),
    [link(hashOf(job.jobId), jobName(job)), job.array?.size && element("small", {}, ` array of ${job.array.size}`)],
    ...(children ? [] : [link(`#/queues/${encodeURIComponent(job.jobQueue)}`, job.jobQueue)]),
    ago(job.since),
    duration(job.durations.runningSeconds) ?? "",
    why(job),
  ]);
  return [...table("", children ? CHILD_COLUMNS : COLUMNS, rows).tBodies[0].rows];
}

function why(job) {
  if (job.failure)
    return element("span", { class: "failed", title: job.failure.explanation }, causeWords(job.failure.cause, job.failure.exitCode));
  if (job.status === "SUCCEEDED" || !job.statusReason) return "";
  return element("span", { title: job.statusReason }, job.statusReason);
}
