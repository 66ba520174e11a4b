// Small charts. Each has its numbers as text too.

import { drawing, element } from "./elements.js";
import { number } from "./status.js";
import { formatted } from "./zone.js";

const HOUR = 3_600_000;
const HOURS = 24;
const HEIGHT = 60;

// Jobs that ended in each of the last 24 hours; hours without data count as 0.
export function hoursChart(hours, end = Date.now()) {
  const known = new Map(hours.map((hour) => [Math.floor(new Date(hour.hour) / HOUR), hour]));
  const last = Math.floor(end / HOUR);
  const shown = Array.from({ length: HOURS }, (_, n) => {
    const { succeeded = 0, failed = 0 } = known.get(last - HOURS + 1 + n) ?? {};
    return { at: new Date((last - HOURS + 1 + n) * HOUR), succeeded, failed };
  });
  const most = Math.max(1, ...shown.map(({ succeeded, failed }) => succeeded + failed));
  const total = (name) => number(shown.reduce((sum, hour) => sum + hour[name], 0));
  const label = `Jobs ended per hour: ${total("succeeded")} succeeded, ${total("failed")} failed`;
  return element("figure", { class: "chart" },
    drawing("svg", { viewBox: `0 0 ${HOURS * 10} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      shown.map((hour, n) => bar(hour, n * 10, HEIGHT / most))),
    element("div", { class: "axis" },
      element("span", {}, formatted("minute", shown[0].at)),
      element("span", {}, `max. ${number(most)} per hour`),
      element("span", {}, "now")));
}

function bar({ at, succeeded, failed }, x, scale) {
  const [good, bad] = [succeeded * scale, failed * scale];
  const title = `${formatted("minute", at)}: ${succeeded} succeeded, ${failed} failed`;
  return drawing("g", {}, drawing("title", {}, title),
    drawing("rect", { class: "ground", x, y: 0, width: 10, height: HEIGHT }),
    drawing("rect", { class: "succeeded", x: x + 1, y: HEIGHT - good, width: 8, height: good }),
    drawing("rect", { class: "failed", x: x + 1, y: HEIGHT - good - bad, width: 8, height: bad }));
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
