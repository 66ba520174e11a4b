// A filtered list of jobs. The filter is part of the address, so that it can be shared.

import { get } from "./api.js";
import { button, element } from "./elements.js";
import { jobList } from "./job_list.js";
import { badge, STATUSES } from "./status.js";
import { clock } from "./time.js";

const NAMES = ["queue", "status", "name", "since", "until"];
const SINCE = [
  ["", "any time"], ["-1h", "the last hour"], ["-24h", "the last 24 hours"], ["-7d", "the last 7 days"],
  ["-30d", "the last 30 days"],
];

export function jobs(page, query) {
  const filter = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  const list = () =>
    jobList(page, ["jobs"], filter, { none: emptyText(Object.values(filter).some(Boolean)) });
  const place = element("div", {}, list());
  const asOf = element("span", { class: "soft" }, "as of ", clock(new Date().toISOString()));

  function refresh() {
    asOf.replaceChildren("as of ", clock(new Date().toISOString()));
    place.replaceChildren(list());
  }

  page.show("Jobs",
    element("div", { class: "title" },
      element("h1", {}, "Jobs"), asOf, button("Refresh", refresh, { id: "refresh" })),
    filters(page, filter), place);
}

const emptyText = (isFiltered) => isFiltered
  ? ["No matching jobs. ", element("a", { href: "#/jobs" }, "Show all jobs")]
  : "No jobs recorded yet, or none in the queues that your token covers. A job appears when its next event is received.";

function filters(page, filter) {
  const chosen = filter.status.toUpperCase().split(",");
  const times = SINCE.some(([value]) => value === filter.since) ? SINCE : [...SINCE, [filter.since, filter.since]];
  const queues = element("datalist", { id: "queues" });
  suggest(page, queues);

  const form = element("form", { class: "filters", "aria-label": "Filter", onchange: apply, onsubmit: apply },
    element("label", {}, "Queue",
      element("input", { id: "queue", name: "queue", value: filter.queue, list: "queues", placeholder: "any",
        autocomplete: "off", spellcheck: "false" })),
    element("label", {}, "Name begins with",
      element("input", { id: "name", name: "name", value: filter.name, placeholder: "any", autocomplete: "off",
        spellcheck: "false" })),
    element("label", {}, "Last status change",
      element("select", { id: "since", name: "since" }, times.map(([value, words]) =>
        element("option", { value, selected: value === filter.since }, words)))),
    element("fieldset", {}, element("legend", {}, "Status"), STATUSES.map((status) =>
      element("label", { class: "chip" },
        element("input", { id: status, type: "checkbox", name: "status", value: status, checked: chosen.includes(status) }),
        badge(status)))),
    queues);

  function apply(event) {
    event.preventDefault();
    const data = new FormData(form);
    const changed = { ...filter, ...Object.fromEntries(data), status: data.getAll("status").join(",") };
    location.hash = hashFor(changed);
  }
  return form;
}

export function hashFor(filter) {
  const query = new URLSearchParams(NAMES.filter((name) => filter[name]).map((name) => [name, filter[name].trim()]));
  return `#/jobs${query.size ? `?${query}` : ""}`;
}

// Suggestions only: the field accepts any queue name.
async function suggest(page, list) {
  const { queues } = await get(["queues"], {}, page.signal).catch(() => ({ queues: [] }));
  list.append(...queues.map(({ jobQueue }) => element("option", { value: jobQueue })));
}
