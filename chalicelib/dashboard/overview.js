// The overview: whether something needs a look, and the state of each queue. Requested again
// while the page is visible.

import { attention, byGravity, list, percent, rate, sign, sum } from "./attention.js";
import { getQueues, Unauthorized } from "./api.js";
import { amounts, sparkline } from "./chart.js";
import { element, link, section, table } from "./elements.js";
import { hashFor } from "./jobs.js";
import { visibleFor } from "./live.js";
import { problem } from "./problem.js";
import { atLeast } from "./queue.js";
import { causeWords, number, plural, STARTING, WAITING } from "./status.js";
import { ago, duration, elapsed } from "./time.js";
import { money } from "./usage.js";

const REFRESH = 10_000;
const MAX_QUIET = 12;
const MAX_CAUSES = 8;
const COLUMNS = ["Queue", ["Waiting", "number"], ["Running", "number"], "24 h", ["Failed", "number"],
  ["Median wait", "number"], ["Cost", "number"]];

export async function overview(page) {
  let queues = await getQueues(page.signal);
  let shown = null;
  let error = null;
  let updated = new Date().toISOString();
  while (!page.signal.aborted) {
    const next = JSON.stringify([queues, error?.message]);
    if (next !== shown) show(page, queues, error, updated);
    shown = next;
    await visibleFor(REFRESH, page.signal);
    try {
      queues = await getQueues(page.signal);
      [error, updated] = [null, new Date().toISOString()];
    } catch (failed) {
      if (page.signal.aborted || failed instanceof Unauthorized) throw failed;
      error = failed;
    }
    const live = document.getElementById("live");
    if (!error && live) live.replaceChildren("Live · ", ago(updated));
  }
}

function show(page, queues, error, updated) {
  const items = attention(queues);
  const isCounted = queues.some(({ counts }) => counts);
  const verdict = items.length ? `${plural(items.length, "thing needs", "things need")} a look`
    : isCounted ? "All clear" : "Not counted yet";
  page.show(queues.length ? verdict : "Queues",
    element("div", { class: "title" }, element("h1", {}, queues.length ? verdict : "Queues"),
      element("span", { class: "soft" }, isCounted || !queues.length ? totals(queues)
        : `${plural(queues.length, "queue")}: the next sweep counts the jobs`),
      element("span", { id: "live", class: "soft" }, error ? "Last update " : "Live · ", ago(updated))),
    error && problem(error),
    items.length > 0 && list(items),
    queues.length ? section("Queues", ...queueTable(queues)) : element("p", { class: "none" },
      "No queues recorded yet. A queue appears when the first event of one of its jobs is received."),
    failures(queues));
}

function totals(queues) {
  const all = (statuses) => queues.reduce((total, { counts }) => total + statuses.reduce((n, status) => n + (counts?.[status] ?? 0), 0), 0);
  const lastHour = rate(sum(queues.flatMap(({ hours }) => hours.slice(-1))));
  return [plural(queues.length, "queue"), `${number(all(WAITING))} waiting`, `${number(all([...STARTING, "RUNNING"]))} running`,
    lastHour != null && `${percent(lastHour)} failed in this hour`].filter(Boolean).join(" · ");
}

function queueTable(queues) {
  const size = ({ counts }) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
  const sorted = queues.map((queue) => ({ queue, items: attention([queue]) })).sort((a, b) =>
    byGravity(a.items, b.items) || size(b.queue) - size(a.queue));
  const isQuiet = ({ queue, items }) => !items.length && queue.counts && !size(queue) && !ended(queue);
  const quiet = sorted.filter(isQuiet);
  const folded = quiet.length > MAX_QUIET ? quiet : [];
  const rows = sorted.filter((each) => !folded.includes(each)).map(row);
  return [rows.length > 0 && table("Queues", COLUMNS, rows),
    rows.length > 0 && element("p", { class: "note" }, "24 h: jobs that succeeded upwards, jobs that failed downwards, by the hour. Failed, wait and cost: the last 24 hours."),
    folded.length > 0 && element("details", {}, element("summary", {}, `${number(folded.length)} quiet queues`),
      element("ul", { class: "quiet" }, folded.map(({ queue }) => element("li", {}, queueLink(queue)))))];
}

const ended = ({ lastDay }) => (lastDay ? lastDay.succeeded + lastDay.failed : 0);

const queueLink = ({ jobQueue }) =>
  element("a", { href: `#/queues/${encodeURIComponent(jobQueue)}`, id: `queue-${jobQueue}` }, jobQueue);

function row({ queue, items }) {
  const { jobQueue, counts, oldestWaiting, lastDay, hours } = queue;
  const name = [queueLink(queue), " ", [...new Set(items.map(({ kind }) => kind))].slice(0, 1).map(sign)];
  if (!counts || !lastDay) return [name, element("span", { class: "soft" }, "not counted yet"), "", "", "", "", ""];
  const counted = (statuses) => {
    const count = statuses.reduce((total, status) => total + (counts[status] ?? 0), 0);
    return link(hashFor({ queue: jobQueue, status: statuses.join(",") }), atLeast(queue, count));
  };
  return [
    name,
    [counted(WAITING), oldestWaiting && element("small", {}, "oldest ", elapsed(oldestWaiting))],
    counted([...STARTING, "RUNNING"]),
    sparkline(hours),
    failedCell(queue),
    duration(lastDay.waitSeconds?.p50) ?? "–",
    lastDay.cost ? [money({ ...lastDay.cost, wasted: 0 }), lastDay.cost.wasted > 0 && element("small", {}, `${number(lastDay.cost.wasted)} wasted`)] : "–",
  ];
}

function failedCell({ jobQueue, lastDay, dayBefore }) {
  const now = rate(lastDay);
  if (now == null) return "–";
  const before = rate(dayBefore ?? {});
  const change = before == null ? null : Math.round(100 * now) === Math.round(100 * before) ? "=" : now > before ? "▲ from" : "▼ from";
  return [
    element("a", { href: hashFor({ queue: jobQueue, status: "FAILED", since: "-24h" }), class: lastDay.failed ? "failed" : null }, percent(now)),
    change && element("small", {}, `${change} ${percent(before)}`),
  ];
}

function failures(queues) {
  const counted = queues.flatMap(({ jobQueue, lastDay }) =>
    Object.entries(lastDay?.causes ?? {}).map(([cause, jobs]) => ({ jobQueue, cause, jobs })));
  if (!counted.length) return null;
  const most = counted.sort((a, b) => b.jobs - a.jobs).slice(0, MAX_CAUSES);
  const total = counted.reduce((all, { jobs }) => all + jobs, 0);
  const causes = section("Why jobs failed in the last 24 hours",
    table("Causes of failures", ["Cause", "Queue", ["Jobs", "number"]], most.map(({ jobQueue, cause, jobs }) =>
      [element("span", { class: "failed" }, causeWords(cause)), jobQueue,
        link(hashFor({ queue: jobQueue, status: "FAILED", since: "-24h" }), number(jobs))])),
    element("p", { class: "after" }, link(hashFor({ status: "FAILED", since: "-24h" }), `All ${number(total)} failures`)));
  const named = queues.flatMap(({ jobQueue, lastDay }) =>
    Object.entries(lastDay?.definitions ?? {}).map(([name, jobs]) => [`${name} (${jobQueue})`, jobs]));
  return element("div", { class: "two" }, causes, named.length > 0 && section("Failures by job definition",
    amounts(named.sort(([, a], [, b]) => b - a).slice(0, MAX_CAUSES))));
}
