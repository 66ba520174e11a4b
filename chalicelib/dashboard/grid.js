// The children of an array as a grid of cells, drawn on a canvas: 10,000 elements would be too many.
// Statuses differ by shape too: a failed child is a full cell with a cross, one that runs or starts is a
// ring, one that waits is a dot.

import { element } from "./elements.js";
import { hashOf } from "./job_list.js";
import { number, tone } from "./status.js";

// By digit of `childStatuses`.
const STATUSES = ["not recorded", "SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "SUCCEEDED", "FAILED", "another status"];
const MANY_COLUMNS = 100;
const FEW_COLUMNS = 50;
const NARROW = "(max-width: 700px)";
const CELL = 11;

// `draw` shows the statuses, those other than the chosen one faintly; the selected child is kept.
export function grid(id) {
  const columns = matchMedia(NARROW).matches ? FEW_COLUMNS : MANY_COLUMNS;
  let statuses = "";
  let selected = 0;
  let colour = {};
  let tiles = [];
  const words = element("p", { class: "soft", role: "status" });
  const canvas = element("canvas", {
    id: "grid", tabindex: "0", role: "application", "aria-roledescription": "grid of children",
    onkeydown: (event) => press(event), onpointermove: (event) => select(childAt(event)),
    onclick: (event) => open(childAt(event)), onfocus: () => select(selected),
  });

  function draw(digits, status = "") {
    if (!digits) return;
    statuses = digits;
    colour = colours();
    const chosen = STATUSES.includes(status) ? STATUSES.indexOf(status) : STATUSES.length - 1;
    tiles = STATUSES.map((each, digit) => tile(digit ? tone(each) : "none", colour, status && digit !== chosen));
    canvas.width = columns * CELL;
    canvas.height = Math.ceil(digits.length / columns) * CELL;
    canvas.setAttribute("aria-label", `${number(digits.length)} children. Arrow keys select one, Enter opens it`);
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let n = 0; n < digits.length; n++) {
      const corner = Math.floor(n / columns) * CELL * canvas.width + (n % columns) * CELL;
      tiles[digits[n]].forEach((row, y) => pixels.set(row, corner + y * canvas.width));
    }
    context.putImageData(image, 0, 0);
    if (canvas === document.activeElement) select(selected);
  }

  // Draws a cell again, without the mark of the selection.
  function cell(context, n, digit) {
    const [x, y] = [(n % columns) * CELL, Math.floor(n / columns) * CELL];
    const image = context.createImageData(CELL, CELL);
    tiles[digit].forEach((row, line) => new Uint32Array(image.data.buffer).set(row, line * CELL));
    context.putImageData(image, x, y);
  }

  function childAt({ offsetX, offsetY }) {
    const size = canvas.clientWidth / columns;
    return Math.floor(offsetY / size) * columns + Math.min(columns - 1, Math.floor(offsetX / size));
  }

  function select(n) {
    if (!(n >= 0 && n < statuses.length)) return;
    const context = canvas.getContext("2d");
    cell(context, selected, statuses[selected] ?? "0");
    selected = n;
    context.strokeStyle = colour.text;
    context.lineWidth = 2;
    context.strokeRect((n % columns) * CELL + 1, Math.floor(n / columns) * CELL + 1, CELL - 3, CELL - 3);
    words.textContent = `Child ${n}: ${STATUSES[statuses[n]]}`;
  }

  function press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -selected, End: statuses.length - 1 - selected }[event.key];
    if (event.key === "Enter") open(selected);
    else if (step === undefined) return;
    event.preventDefault();
    if (step !== undefined) select(selected + step);
  }

  const open = (n) => {
    if (n >= 0 && n < statuses.length) location.hash = hashOf(`${id}:${n}`);
  };

  return { element: element("div", { class: "grid" }, canvas, words), draw };
}

// The picture of a status as rows of pixels. It is drawn once and copied to each cell, because drawing
// 10,000 crosses takes ten times as long.
function tile(kind, colour, isFaint) {
  const canvas = new OffscreenCanvas(CELL, CELL);
  const context = canvas.getContext("2d");
  context.fillStyle = context.strokeStyle = colour[kind];
  context.globalAlpha = isFaint ? 0.15 : kind === "succeeded" ? 0.45 : 1;
  if (kind === "failed") {
    context.fillRect(0, 0, CELL - 1, CELL - 1);
    context.strokeStyle = colour.card;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(2.5, 2.5);
    context.lineTo(CELL - 3.5, CELL - 3.5);
    context.moveTo(CELL - 3.5, 2.5);
    context.lineTo(2.5, CELL - 3.5);
    context.stroke();
  } else if (kind === "running" || kind === "starting") {
    context.lineWidth = 2;
    context.strokeRect(2, 2, CELL - 5, CELL - 5);
  } else {
    const margin = kind === "succeeded" ? 1 : 4;
    context.fillRect(margin, margin, CELL - 1 - 2 * margin, CELL - 1 - 2 * margin);
  }
  const pixels = new Uint32Array(context.getImageData(0, 0, CELL, CELL).data.buffer);
  return Array.from({ length: CELL }, (_, y) => pixels.subarray(y * CELL, (y + 1) * CELL));
}

// The colours of the style; `none` is a child of which nothing is recorded.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["waiting", "starting", "running", "succeeded", "failed", "unknown", "card", "text"];
  const found = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)]));
  return { ...found, none: style.getPropertyValue("--line") };
}
