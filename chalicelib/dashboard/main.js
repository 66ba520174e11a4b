// Shows the view that the address names, and another one when it changes:
//
//   #/                  queues at a glance, and the newest jobs
//   #/jobs?status=…     jobs, filtered
//   #/jobs/<job id>     one job
//   #/queues/<name>     one queue
//
// A view is a function of a page and what the address says. The page is what this module lends it:
// a place to show things, and a signal that ends what it does when the person goes elsewhere.

import { Declined, Refused } from "./api.js";
import { element } from "./elements.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { problem } from "./problem.js";
import { queue } from "./queue.js";
import { queues } from "./queues.js";
import { signIn } from "./sign_in.js";
import { forget, token } from "./token.js";

const VIEWS = [
  [/^$/, "queues", queues],
  [/^jobs$/, "jobs", jobs],
  [/^jobs\/([^/]+)$/, "jobs", job],
  [/^queues\/([^/]+)$/, "queues", queue],
];

const at = (id) => document.getElementById(id);
const main = at("main");
let visit = new AbortController();
let shown = null;

function newPage() {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  return {
    signal,
    show(title, ...content) {
      if (signal.aborted) return;
      const focused = document.activeElement?.id;
      document.title = `${title} · batchwatch`;
      main.replaceChildren(...content.filter(Boolean));
      if (focused) at(focused)?.focus({ preventScroll: true });
    },
    announce(text) {
      if (!signal.aborted) at("news").textContent = text;
    },
    failed(error) {
      if (signal.aborted) return;
      if (error instanceof Refused) askForToken(true);
      else this.show("Problem", problem(error, visitAddress));
    },
  };
}

async function visitAddress() {
  const [path, query] = location.hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [view, name, names] = viewOf(path);
  const moved = shown !== null && shown !== path;
  shown = path;
  for (const one of document.querySelectorAll("nav a"))
    one.ariaCurrent = one.dataset.view === name ? "page" : null;
  at("sign-out").hidden = !token();
  if (!token()) return askForToken(false);
  const page = newPage();
  if (moved) scrollTo(0, 0);
  page.show("Loading", element("p", { class: "loading" }, "Loading …"));
  if (moved) main.focus({ preventScroll: true });
  try {
    await view(page, new URLSearchParams(query), ...names);
  } catch (error) {
    page.failed(error);
  }
}

function viewOf(path) {
  for (const [pattern, name, view] of VIEWS) {
    const found = pattern.exec(path);
    if (found) return [view, name, found.slice(1).map(decoded)];
  }
  return [() => { throw new Declined("there is no such page", 404); }, null, []];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function askForToken(wasRefused) {
  forget();
  at("sign-out").hidden = true;
  signIn(newPage(), visitAddress, wasRefused);
}

at("sign-out").addEventListener("click", () => askForToken(false));
at("skip").addEventListener("click", () => main.focus());
at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = at("found").value.trim();
  if (!wanted) return;
  const isId = /^[0-9a-f]{8}-[0-9a-f-]{27}([:#]\d+)?$/i.test(wanted);
  location.hash = isId ? `#/jobs/${encodeURIComponent(wanted)}` : `#/jobs?name=${encodeURIComponent(wanted)}`;
  at("found").value = "";
});
addEventListener("hashchange", visitAddress);
visitAddress();
