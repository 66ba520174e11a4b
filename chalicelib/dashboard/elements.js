// Creates elements. Text becomes text nodes and never markup, so that no name or message can inject
// HTML; the page's Content-Security-Policy forbids innerHTML as well.

const SVG = "http://www.w3.org/2000/svg";

// Attributes that are null or false are omitted; functions (`onclick`) become listeners. Children
// may be nested lists; null and false are omitted.
export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

export const drawing = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

export const link = (href, ...children) => element("a", { href }, ...children);

// A link to another site: opens in a new tab, HTTPS only.
export const linkOut = (href, text) =>
  href?.startsWith("https://") &&
  element("a", { href, target: "_blank", rel: "noopener noreferrer" }, text, " ↗");

export const button = (text, onclick, attributes = {}) =>
  element("button", { type: "button", onclick, ...attributes }, text);

// `columns` are headings or [heading, class of its cells]; a row is a list of cells. Roles are
// explicit because the style for phones removes the table layout.
export function table(caption, columns, rows) {
  const headings = columns.map((column) => [column].flat());
  return element("table", { role: "table" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, headings.map(([text, kind]) =>
      element("th", { scope: "col", role: "columnheader", class: kind }, text)))),
    element("tbody", { role: "rowgroup" }, rows.map((cells) =>
      element("tr", { role: "row" }, cells.map((cell, n) =>
        element("td", { role: "cell", class: headings[n][1], "data-label": headings[n][0] }, cell))))));
}

// Pairs of a name and a value; unknown values are omitted.
export const facts = (pairs) =>
  element("dl", {}, pairs.filter(([, value]) => value != null && value !== false && value !== "")
    .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));

export const section = (heading, ...children) =>
  element("section", { "aria-label": heading }, element("h2", {}, heading), ...children);
