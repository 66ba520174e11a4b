// The time of a job to scale: one lane for each attempt, from its creation to its end or to now. Each
// span is the time between two transitions, so the spans add up to the total. Spans differ by height as
// well as by colour: a job that waits is a thin line, one that starts is half as high as one that runs.

import { drawing, element } from "./elements.js";
import { hasEnded, tone } from "./status.js";
import { duration } from "./time.js";

const WIDTH = 1000;
const LANE = 16;
const GAP = 4;
const HEIGHTS = { waiting: 3, starting: 6, running: LANE - GAP };

export function timeline(job) {
  if (job.array?.size) return null; // PENDING while its children run
  const spans = spansOf(job);
  const [begin, end] = [spans[0]?.from, spans.at(-1)?.to];
  if (!(end > begin)) return null;
  const lanes = [...new Set(spans.map(({ attempt }) => attempt))];
  const x = (time) => ((time - begin) / (end - begin)) * WIDTH;
  const height = lanes.length * LANE - GAP;
  return element("figure", { class: "spans" },
    drawing("svg", { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", height, "aria-hidden": "true" },
      spans.map(({ status, attempt, from, to }) => {
        const height = HEIGHTS[tone(status)] ?? HEIGHTS.running;
        const y = (lanes.indexOf(attempt) + 1) * LANE - GAP - height;
        return drawing("rect", { class: tone(status), x: x(from), y, width: Math.max(x(to) - x(from), 1), height });
      })),
    element("figcaption", {}, totals(spans).map(([kind, seconds]) =>
      element("span", { class: kind, "data-seconds": seconds }, element("i", {}), element("b", {}, duration(seconds)), ` ${kind}`)),
      element("span", { "data-total": (end - begin) / 1000 }, element("b", {}, duration((end - begin) / 1000)), " in total"),
      lanes.length > 1 && element("span", {}, `${lanes.length} attempts, one below the other`)));
}

// Before the first transition that is recorded, the job was SUBMITTED.
// An attempt whose RUNNING is not recorded has its start from the attempt itself.
function spansOf({ status, since, createdAt, stoppedAt, history, attempts }) {
  const end = Date.parse(hasEnded(status) ? stoppedAt ?? since : new Date().toISOString());
  const recorded = new Set(history.filter((entry) => entry.status === "RUNNING").map(({ attempt }) => attempt));
  const unrecorded = attempts.filter(({ attempt, startedAt }) => startedAt && !recorded.has(attempt))
    .map(({ attempt, startedAt }) => ({ status: "RUNNING", attempt, at: startedAt }));
  const known = [...history, ...unrecorded];
  if (unrecorded.length) known.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const entries = [{ status: "SUBMITTED", attempt: 1, at: createdAt ?? history[0]?.at }, ...known]
    .filter(({ at, status }) => at && !hasEnded(status))
    .map(({ status, attempt, at }) => ({ status, attempt: attempt ?? 1, from: Math.min(Date.parse(at), end) }));
  for (let n = 1; n < entries.length; n++) entries[n].from = Math.max(entries[n].from, entries[n - 1].from);
  return entries.map((entry, n) => ({ ...entry, to: entries[n + 1]?.from ?? end }));
}

function totals(spans) {
  const sums = new Map();
  for (const { status, from, to } of spans) sums.set(tone(status), (sums.get(tone(status)) ?? 0) + (to - from) / 1000);
  return [...sums].filter(([, seconds]) => seconds > 0);
}
