// Small charts. Each has its numbers as text too, and succeeded jobs go up and failed jobs down, so that
// no chart depends on colours.

import { button, drawing, element, table } from "./elements.js";
import { countedCauses, number } from "./status.js";
import { duration, percentiles } from "./time.js";
import { money, usage } from "./usage.js";
import { formatted } from "./zone.js";

const HOURS = 24;
const COLUMN = 10;
const BARS = { up: 60, down: 30 };
const LINES = 46;

const RANGES = {
  "24 hours": { periods: ({ hours }) => hours, nameOf: ({ hour }) => formatted("minute", hour), unit: "hour" },
  "30 days": { periods: ({ days }) => days, nameOf: ({ day }) => dayName(day), unit: "day (UTC)" },
};

// Days are days in UTC in any time zone of the page.
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const dayName = (day) => DAY.format(new Date(day));

// Ended jobs, wait time and run time of a queue on one time axis, of its last 24 hours or 30 days.
// The numbers of a period are shown when it is pointed at, touched, or focused.
export function history(queue) {
  const figure = element("figure", { class: "chart" });
  show("24 hours");
  return figure;

  function show(name) {
    const { periods, nameOf, unit } = RANGES[name];
    const all = periods(queue) ?? [];
    const words = element("p", { class: "soft", role: "status" }, "Point at or touch a column for its numbers.");
    const select = (n) => {
      words.textContent = `${nameOf(all[n])}: ${periodWords(all[n])}`;
      for (const rect of figure.querySelectorAll("rect.ground"))
        rect.classList.toggle("selected", rect.dataset.n === String(n));
    };
    const ranges = Object.keys(RANGES).map((each) =>
      button(each, () => { show(each); figure.querySelector("[aria-pressed=true]").focus(); }, { "aria-pressed": String(each === name) }));
    figure.replaceChildren(
      element("div", { class: "title" }, element("h2", {}, `Ended jobs by ${unit}`), ...ranges),
      bars(all, select), lines("Wait time", all, "waitSeconds", select), lines("Run time", all, "runSeconds", select),
      element("div", { class: "axis" }, axis(all, nameOf)), words,
      element("details", {}, element("summary", {}, "As a table"), periodTable(all, nameOf, unit)));
  }
}

function axis(all, nameOf) {
  const step = Math.ceil(all.length / 6);
  return all.filter((_, n) => n % step === 0).map((each) => element("span", {}, nameOf(each)));
}

const sumOf = (all, name) => number(all.reduce((sum, each) => sum + each[name], 0));

function bars(all, select) {
  const { up, down } = BARS;
  const most = Math.max(1, ...all.map(({ succeeded }) => succeeded));
  const mostFailed = Math.max(1, ...all.map(({ failed }) => failed));
  const scale = Math.min(up / most, down / mostFailed);
  const height = (jobs) => (jobs ? Math.max(1.5, jobs * scale) : 0);
  return panel(
    ["Ended: ", key("succeeded", `${sumOf(all, "succeeded")} succeeded, up (max. ${number(most)})`),
      key("failed", `${sumOf(all, "failed")} failed, down (max. ${number(mostFailed)})`)],
    `Ended jobs: ${sumOf(all, "succeeded")} succeeded, ${sumOf(all, "failed")} failed`, up + down, all, select,
    drawing("rect", { class: "axis", x: 0, y: up - 0.5, width: all.length * COLUMN, height: 1 }),
    all.map(({ succeeded, failed }, n) => [
      drawing("rect", { class: "succeeded", x: n * COLUMN + 1, y: up - height(succeeded), width: COLUMN - 2, height: height(succeeded) }),
      drawing("rect", { class: "failed", x: n * COLUMN + 1, y: up, width: COLUMN - 2, height: height(failed) })]));
}

function lines(name, all, field, select) {
  const most = Math.max(...all.map((each) => each[field]?.p90 ?? 0));
  const path = (percentile) => all.map((each, n) => {
    if (!each[field]) return "";
    const at = `${n * COLUMN + COLUMN / 2} ${LINES - 2 - (each[field][percentile] / (most || 1)) * (LINES - 4)}`;
    return `${all[n - 1]?.[field] ? "L" : `M${at}L`}${at}`;
  }).join("");
  return panel(
    most ? [`${name}: `, key("line", "p50"), key("dashed", `p90 (max. ${duration(most)})`)] : [`${name}: no jobs ran`],
    most ? `${name}: p90 at most ${duration(most)}` : `${name}: no jobs ran`, LINES, all, select,
    drawing("rect", { class: "axis", x: 0, y: LINES - 1, width: all.length * COLUMN, height: 1 }),
    drawing("path", { class: "dashed", d: path("p90") }), drawing("path", { class: "line", d: path("p50") }));
}

const key = (kind, text) => element("span", { class: `key ${kind}` }, element("i", {}), text);

// A drawing that is as wide as its place, with a column for each period behind it.
const panel = (heading, label, height, all, select, ...content) => element("div", {},
  element("p", { class: "soft" }, heading),
  drawing("svg", { viewBox: `0 0 ${Math.max(1, all.length) * COLUMN} ${height}`, height, preserveAspectRatio: "none", role: "img", "aria-label": label },
    all.map((_, n) => drawing("rect", {
      class: "ground", "data-n": n, x: n * COLUMN, y: 0, width: COLUMN, height, onpointerenter: () => select(n), onclick: () => select(n) })),
    content));

function periodWords({ succeeded, failed, causes, waitSeconds, runSeconds }) {
  const times = (name, seconds) => seconds && `${name} ${percentiles(seconds)}`;
  return [`${number(succeeded)} succeeded, ${number(failed)} failed${failed ? ` (${countedCauses(causes)})` : ""}`,
    times("wait time", waitSeconds), times("run time", runSeconds)].filter(Boolean).join("; ");
}

function periodTable(all, nameOf, unit) {
  const eventful = all.filter(({ succeeded, failed, runSeconds }) => succeeded + failed > 0 || runSeconds).reverse();
  if (!eventful.length) return element("p", { class: "none" }, "No jobs ended.");
  const hasUsage = eventful.some((each) => each.usage);
  return table(`Ended jobs by ${unit}`,
    ["Time", ["Succeeded", "number"], ["Failed", "number"], ["Wait time p50", "number"], ["Run time p50", "number"], ...hasUsage ? ["Usage", "Cost (estimate)"] : []],
    eventful.map((each) => [nameOf(each), number(each.succeeded), number(each.failed), duration(each.waitSeconds?.p50) ?? "", duration(each.runSeconds?.p50) ?? "",
      ...hasUsage ? [usage(each.usage), each.cost ? money(each.cost) : ""] : []]));
}

// Amounts by name, the largest first, as bars. `counted` are pairs of a name and an amount.
export function amounts(counted) {
  const most = Math.max(...counted.map(([, count]) => count));
  return element("ul", { class: "amounts" }, counted.map(([name, count]) => element("li", {},
    element("span", {}, name),
    drawing("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      drawing("rect", { class: "failed", x: 0, y: 0, width: (100 * count) / most, height: 10 })),
    element("b", {}, number(count)))));
}

const SPARK = { width: 7, up: 22, down: 10 };

// The last 24 hours in a row of a table: succeeded jobs up, failed jobs down.
export function sparkline(hours) {
  const { width, up, down } = SPARK;
  const most = Math.max(1, ...hours.map(({ succeeded }) => succeeded), ...hours.map(({ failed }) => (failed * up) / down));
  const total = (name) => number(hours.reduce((all, hour) => all + hour[name], 0));
  const label = `Last 24 hours: ${total("succeeded")} succeeded, ${total("failed")} failed`;
  const height = (jobs) => (jobs ? Math.max(1.5, (jobs / most) * up) : 0);
  return drawing("svg", { class: "spark", viewBox: `0 0 ${HOURS * width} ${up + down + 1}`, width: HOURS * width, height: up + down + 1, role: "img", "aria-label": label },
    drawing("rect", { class: "axis", x: 0, y: up, width: HOURS * width, height: 1 }),
    hours.map(({ hour, succeeded, failed }, n) => drawing("g", {},
      drawing("title", {}, `${formatted("minute", hour)}: ${succeeded} succeeded, ${failed} failed`),
      drawing("rect", { class: "succeeded", x: n * width, y: up - height(succeeded), width: width - 1, height: height(succeeded) }),
      drawing("rect", { class: "failed", x: n * width, y: up + 1, width: width - 1, height: height(failed) }))));
}
