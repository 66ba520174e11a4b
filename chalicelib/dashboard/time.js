// Times and durations as text. Relative times have the exact time as their tooltip and are updated.

import { element } from "./elements.js";
import { formatted } from "./zone.js";

const TICK = 10_000;

// In the two largest units, as in "45 s", "4 min 5 s", "1 h 12 min", "3 d 4 h".
export function duration(seconds) {
  if (seconds == null) return null;
  const [s, min, h] = [seconds, seconds / 60, seconds / 3600].map(Math.round);
  if (s < 1) return "less than 1 s";
  if (s < 60) return `${s} s`;
  if (s < 3600) return twoUnits(s, 60, "min", "s");
  return min < 1440 ? twoUnits(min, 60, "h", "min") : twoUnits(h, 24, "d", "h");
}

function twoUnits(amount, size, large, small) {
  const left = amount % size;
  return `${Math.floor(amount / size)} ${large}${left ? ` ${left} ${small}` : ""}`;
}

// "p50 3 min, p90 12 min"
export const percentiles = (seconds) => seconds && `p50 ${duration(seconds.p50)}, p90 ${duration(seconds.p90)}`;

// "3 min ago"
export const ago = (at) => at && ticking(at, "ago");

// "3 min 20 s"
export const elapsed = (at) => at && ticking(at, "elapsed");

// "24 Nov, 03:55:00"
export const moment = (at) => at && timed(at, `${formatted("day", at)}, ${formatted("clock", at)}`);

// "22:00" of today, or "24 Nov, 22:00"
export const since = (at) => {
  const day = formatted("date", at) === formatted("date", Date.now()) ? "" : `${formatted("day", at)}, `;
  return timed(at, `${day}${formatted("minute", at)}`);
};

export const clock = (at) => at && timed(at, formatted("clock", at));

function timed(at, text, as) {
  const title = `${formatted("exact", at)} (${at})`;
  return element("time", { datetime: at, title, "data-as": as }, text);
}

const ticking = (at, as) => timed(at, WORDS[as](secondsSince(at)), as);

const secondsSince = (at) => Math.max(0, (Date.now() - new Date(at)) / 1000);

const WORDS = {
  ago: (s) => (s < 5 ? "just now" : `${duration(s < 60 ? s : oneUnit(s))} ago`),
  elapsed: duration,
};

const oneUnit = (s) => [86_400, 3600, 60].map((unit) => Math.floor(s / unit) * unit).find(Boolean);

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-as]")) {
    const text = WORDS[time.dataset.as](secondsSince(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}, TICK);
