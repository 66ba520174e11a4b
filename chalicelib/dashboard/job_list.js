// A list of jobs that loads its pages.

import { get, Unauthorized } from "./api.js";
import { button, element, link, table } from "./elements.js";
import { problem } from "./problem.js";
import { badge, causeWords, number, plural } from "./status.js";
import { ago, duration } from "./time.js";

// A page may be empty and not be the last one: the maximum number of empty pages to skip.
const MAX_EMPTY = 10;

// As many jobs as the API returns without a limit, and at most.
const PAGE = 25;
const MAX_PAGE = 100;

const COLUMNS = ["Status", "Job", "Queue", ["Since", "soft"], ["Run time", "soft"], ["Reason", "why"]];
const CHILD_COLUMNS = COLUMNS.filter((column) => column !== "Queue");

export const hashOf = (id) => `#/jobs/${encodeURIComponent(id)}`;
export const parentOf = (id) => /^(.+)[:#]\d+$/.exec(id)?.[1] ?? null;

export function jobName(job) {
  const [, child] = /([:#]\d+)$/.exec(job.jobId) ?? [];
  return child ? `${job.jobName} ${child}` : job.jobName;
}

const LONGEST_NAME = 44;

// The jobs that a list has loaded, from which it can be built again.
export const noJobs = () => ({ jobs: [], nextToken: null, isLoaded: false });

// `none` is shown for an empty list; `only` is the number of jobs of a list that has one page.
export const jobList = (...list) => liveList(...list).element;

// `reload` loads the listed jobs again and shows what changed.
export function liveList(page, path, query, { none, only, children = false, state = noJobs() }) {
  const list = table("Jobs", children ? CHILD_COLUMNS : COLUMNS, []);
  const after = element("div", { class: "after" });

  let last = Promise.resolve();
  const inTurn = (action) => (last = last.catch(() => {}).then(action));
  const fetchMore = () => inTurn(load);

  async function load() {
    after.replaceChildren(element("p", { class: "loading" }, "Loading…"));
    try {
      const found = await nextJobs(page, path, { limit: only, ...query, nextToken: state.nextToken });
      if (page.signal.aborted) return;
      state.jobs.push(...found.jobs);
      state.nextToken = found.nextToken;
      state.isLoaded = true;
      add(found.jobs);
      page.announce(state.jobs.length ? `${plural(state.jobs.length, "job")} listed` : "No jobs");
    } catch (error) {
      if (error instanceof Unauthorized) page.failed(error);
      else if (!page.signal.aborted) after.replaceChildren(problem(error, fetchMore));
    }
  }

  async function reload() {
    if (!state.isLoaded) return;
    const jobs = [];
    let nextToken = null;
    do {
      const limit = Math.min(MAX_PAGE, Math.max(PAGE, state.jobs.length - jobs.length));
      const found = await nextJobs(page, path, { ...query, limit, nextToken });
      jobs.push(...found.jobs);
      nextToken = found.nextToken;
    } while (nextToken && jobs.length < state.jobs.length);
    if (page.signal.aborted) return;
    const rows = new Map(state.jobs.map((job, n) => [JSON.stringify(job), list.tBodies[0].rows[n]]));
    const focused = list.contains(document.activeElement) && document.activeElement.getAttribute("href");
    list.tBodies[0].replaceChildren(...jobs.map((job) => rows.get(JSON.stringify(job)) ?? rowsOf([job], children)[0]));
    if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    Object.assign(state, { jobs, nextToken });
    after.replaceChildren(...end());
  }

  function add(jobs) {
    list.tBodies[0].append(...rowsOf(jobs, children));
    after.replaceChildren(...end());
  }

  function end() {
    if (state.nextToken && !only) return [button("Load more", fetchMore, { id: "more" })];
    if (!state.jobs.length) return [element("p", { class: "none" }, none)];
    return [];
  }

  if (state.isLoaded) add(state.jobs);
  else fetchMore();
  return { element: element("div", { class: "list" }, list, after), reload: () => inTurn(reload) };
}

// Shows the changes of listed jobs in their rows, and returns how many jobs are not listed yet.
export function update(list, state, found) {
  const known = new Map(state.jobs.map((job, n) => [job.jobId, n]));
  for (const job of found) {
    const n = known.get(job.jobId);
    const row = list.querySelectorAll("tbody tr")[n];
    if (n === undefined || JSON.stringify(state.jobs[n]) === JSON.stringify(job) || row.contains(document.activeElement)) continue;
    state.jobs[n] = job;
    row.replaceWith(...rowsOf([job], false));
  }
  return found.filter(({ jobId }) => !known.has(jobId)).length;
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
    [link(hashOf(job.jobId), middleCut(jobName(job))), progress(job.array)],
    ...(children ? [] : [link(`#/queues/${encodeURIComponent(job.jobQueue)}`, job.jobQueue)]),
    ago(job.since),
    duration(job.durations.runningSeconds) ?? "",
    why(job),
  ]);
  return [...table("", children ? CHILD_COLUMNS : COLUMNS, rows).tBodies[0].rows];
}

// Names of one project begin alike and differ at their end.
const middleCut = (name) => name.length <= LONGEST_NAME ? name
  : element("span", { title: name }, `${name.slice(0, LONGEST_NAME - 19)}…${name.slice(-18)}`);

// The children that have ended, of an array.
function progress(array) {
  if (!array?.size) return null;
  const { SUCCEEDED = 0, FAILED = 0 } = array.statusSummary ?? {};
  if (!array.statusSummary) return element("small", {}, `array of ${number(array.size)}`);
  const words = `${number(SUCCEEDED + FAILED)} of ${number(array.size)} ended${FAILED ? `, ${number(FAILED)} failed` : ""}`;
  return element("small", { class: FAILED && "failed" },
    element("progress", { max: array.size, value: SUCCEEDED + FAILED, "aria-label": "Ended children" }), words);
}

function why(job) {
  if (job.failure)
    return element("span", { class: "failed", title: job.failure.explanation }, causeWords(job.failure.cause, job.failure.exitCode));
  if (job.status === "SUCCEEDED" || !job.statusReason) return "";
  return element("span", { title: job.statusReason }, job.statusReason);
}
