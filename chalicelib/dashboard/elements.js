// Makes elements. Text becomes text nodes and never markup, so whatever a job is called or says,
// it can't become part of the page; the page's policy refuses innerHTML besides.

const SVG = "http://www.w3.org/2000/svg";

// Attributes that are null or false are left out, `onclick` and the like are listeners. Children
// may be nested lists; null and false among them are left out.
export const element = (name, attributes = {}, ...children) =>
  filled(document.createElement(name), attributes, children);

export const drawing = (name, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, name), attributes, children);

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

export const link = (href, ...children) => element("a", { href }, ...children);

// To another site: in a tab of its own, and only over HTTPS.
export const linkOut = (href, text) =>
  href?.startsWith("https://") &&
  element("a", { href, target: "_blank", rel: "noopener noreferrer" }, text, " ↗");

export const button = (text, onclick, attributes = {}) =>
  element("button", { type: "button", onclick, ...attributes }, text);

// `columns` are headings, or [heading, class of its cells]; a row is a list of cells. The roles
// are for phones, where the looks are no table's any more.
export function table(caption, columns, rows) {
  const headings = columns.map((column) => [column].flat());
  return element("table", { role: "table" },
    element("caption", { class: "unseen" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, headings.map(([text, kind]) =>
      element("th", { scope: "col", role: "columnheader", class: kind }, text)))),
    element("tbody", { role: "rowgroup" }, rows.map((cells) =>
      element("tr", { role: "row" }, cells.map((cell, n) =>
        element("td", { role: "cell", class: headings[n][1], "data-label": headings[n][0] }, cell))))));
}

// Pairs of a name and what is known of it; what is not known is left out.
export const facts = (pairs) =>
  element("dl", {}, pairs.filter(([, fact]) => fact != null && fact !== false && fact !== "")
    .map(([name, fact]) => element("div", {}, element("dt", {}, name), element("dd", {}, fact))));

export const section = (heading, ...children) =>
  element("section", { "aria-label": heading }, element("h2", {}, heading), ...children);
