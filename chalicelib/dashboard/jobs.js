// A filtered list of jobs, kept up to date. The filter is part of the address, so that it can be
// shared; changing it adds no entry to the history.

import { get, getQueues, Unauthorized } from "./api.js";
import { button, element } from "./elements.js";
import { jobList, noJobs, update } from "./job_list.js";
import { visibleFor } from "./live.js";
import { badge, plural, STATUSES } from "./status.js";
import { ago } from "./time.js";
import { token } from "./token.js";

const NAMES = ["queue", "status", "name", "since", "until"];
const SINCE = [
  ["", "any time"], ["-1h", "the last hour"], ["-24h", "the last 24 hours"], ["-7d", "the last 7 days"],
  ["-30d", "the last 30 days"],
];

const REFRESH = 15_000;

// The list that was left last, and its token: Back shows its rows again, at the same position, and
// never to another person who signs in.
let left = null;

export async function jobs(page, query) {
  let filter = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  let address = location.hash;
  const listToken = token();
  const back = left?.address === address && left.token === listToken ? left : null;
  let state = back?.state ?? noJobs();
  const place = element("div", {});
  const live = element("span", { id: "live", class: "soft" }, "Live · ", ago(new Date().toISOString()));
  const news = element("span", { role: "status" });
  page.signal.addEventListener("abort", () => { left = { address, token: listToken, state, scroll: scrollY }; });

  function show(newState) {
    state = newState;
    news.replaceChildren();
    const none = emptyText(filter);
    place.replaceChildren(jobList(page, ["jobs"], filter, { none, state }));
  }

  function apply(changed) {
    if (hashFor(changed) === hashFor(filter)) return;
    filter = changed;
    history.replaceState(null, "", hashFor(filter));
    address = location.hash;
    show(noJobs());
  }

  page.show("Jobs",
    element("div", { class: "title" }, element("h1", {}, "Jobs"), live, news,
      button("Refresh", () => show(noJobs()), { id: "refresh" })),
    filters(page, filter, apply), place);
  show(state);
  if (back) scrollTo(0, back.scroll);
  await follow();

  async function follow() {
    let updated = new Date().toISOString();
    while (!page.signal.aborted) {
      await visibleFor(REFRESH, page.signal);
      const current = state;
      try {
        const found = await get(["jobs"], filter, page.signal);
        if (state !== current) continue;
        updated = new Date().toISOString();
        live.replaceChildren("Live · ", ago(updated));
        if (state.jobs.length) announce(update(place, state, found.jobs));
        else if (found.jobs.length) show(noJobs());
      } catch (error) {
        if (page.signal.aborted || error instanceof Unauthorized) throw error;
        live.replaceChildren("The API is unavailable. Last update ", ago(updated));
      }
    }
  }

  function announce(count) {
    news.replaceChildren(...count ? [button(`${plural(count, "new job")}: show`, () => show(noJobs()), { id: "news" })] : []);
  }
}

const PART_OF_ID = /^[0-9a-f]{8}(-[0-9a-f-]*)?$/i;

function emptyText(filter) {
  const all = element("a", { href: "#/jobs" }, "Show all jobs");
  if (PART_OF_ID.test(filter.name)) return ["No job has a name that begins like this. Only a whole job id finds its job. ", all];
  if (Object.values(filter).some(Boolean)) return ["No matching jobs. ", all];
  return "No jobs recorded yet, or none in the queues that your token covers. A job appears when its next event is received.";
}

function filters(page, filter, applied) {
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
    applied({ ...filter, ...Object.fromEntries(data), status: data.getAll("status").join(",") });
  }
  return form;
}

export function hashFor(filter) {
  const query = new URLSearchParams(NAMES.filter((name) => filter[name]).map((name) => [name, filter[name].trim()]));
  return `#/jobs${query.size ? `?${query}` : ""}`;
}

// Suggestions only: the field accepts any queue name.
async function suggest(page, list) {
  const queues = await getQueues(page.signal).catch(() => []);
  list.append(...queues.map(({ jobQueue }) => element("option", { value: jobQueue })));
}
