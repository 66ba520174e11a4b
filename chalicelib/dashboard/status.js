// Text and icons of statuses, causes and numbers. A status is never shown by colour alone.

import { drawing, element } from "./elements.js";

export const WAITING = ["SUBMITTED", "PENDING", "RUNNABLE"];
export const STARTING = ["SCHEDULED", "STARTING"];
export const STATUSES = [...WAITING, ...STARTING, "RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN"];
export const hasEnded = (status) => ["SUCCEEDED", "FAILED", "UNKNOWN"].includes(status);

const RING = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z";
const ICONS = {
  waiting: RING,
  starting: `${RING}M8 4.8V8h2.6`,
  running: `${RING}M6.8 5.8v4.4l3.6-2.2z`,
  succeeded: `${RING}M5.6 8.2l1.7 1.7l3.2-3.6`,
  failed: `${RING}M6 6l4 4M10 6l-4 4`,
  unknown: `${RING}M6.5 6.6a1.5 1.5 0 1 1 1.5 1.8v.6M8 11v.2`,
};

export function tone(status) {
  if (WAITING.includes(status)) return "waiting";
  if (STARTING.includes(status)) return "starting";
  return { RUNNING: "running", SUCCEEDED: "succeeded", FAILED: "failed" }[status] ?? "unknown";
}

export const badge = (status) =>
  element("span", { class: `badge ${tone(status)}` }, icon(tone(status)), status);

const icon = (kind) =>
  drawing("svg", { viewBox: "0 0 16 16", width: 13, height: 13, "aria-hidden": "true" },
    drawing("path", { d: ICONS[kind] }));

// As in "Out of memory" or "Exit code 1".
export function causeWords(cause, exitCode) {
  if (cause === "EXIT_CODE") return exitCode == null ? "The program failed" : `Exit code ${exitCode}`;
  if (cause === "UNKNOWN") return "Unknown cause";
  if (cause === "CANNOT_START") return "Could not be started";
  if (cause === "KILLED") return "Killed (137), usually out of memory";
  const words = cause.replaceAll("_", " ").toLowerCase();
  return words[0].toUpperCase() + words.slice(1);
}

// The names and counts of an object, the largest first.
export const mostFrequent = (counts = {}, limit) =>
  Object.entries(counts).sort(([, a], [, b]) => b - a).slice(0, limit);

// As in "19 × out of memory, 11 × the program failed".
export const countedCauses = (causes, limit) => mostFrequent(causes, limit)
  .map(([cause, count]) => `${number(count)} × ${causeWords(cause).toLowerCase()}`).join(", ");

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const number = (value) => (value == null ? null : NUMBER.format(value));
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
