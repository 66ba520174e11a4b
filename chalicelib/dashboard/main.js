// Shows the view of the current address:
//
//   #/                  the overview: what needs a look, and the queues
//   #/jobs?status=…     a filtered list of jobs
//   #/jobs/<job id>     a job
//   #/queues/<name>     a queue
//
// A view is a function of a page, the query and the names in the address. The page displays content
// and has a signal that aborts the view's requests when the address changes.

import { Failed, Unauthorized } from "./api.js";
import { element } from "./elements.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { overview } from "./overview.js";
import { problem } from "./problem.js";
import { queue } from "./queue.js";
import { signIn } from "./sign_in.js";
import { forget, shareToken, signOut, token } from "./token.js";
import { offerZones } from "./zone.js";

const VIEWS = [
  [/^$/, "overview", overview],
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
      const focused = document.activeElement;
      document.title = `${title} · batchwatch`;
      main.replaceChildren(...content.filter(Boolean));
      if (focused && focused !== document.body) (focused.isConnected ? focused : at(focused.id))?.focus({ preventScroll: true });
    },
    announce(text) {
      if (!signal.aborted) at("announcements").textContent = text;
    },
    failed(error) {
      if (signal.aborted) return;
      if (error instanceof Unauthorized) askForToken(true);
      else this.show("Error", problem(error, visitAddress, "h1"));
    },
  };
}

async function visitAddress() {
  const [path, query] = location.hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [view, name, names] = viewOf(path);
  const moved = shown !== null && shown !== path;
  shown = path;
  for (const anchor of document.querySelectorAll("nav a"))
    anchor.ariaCurrent = anchor.dataset.view === name ? "page" : null;
  at("zone").hidden = at("sign-out").hidden = !token();
  if (!token()) return askForToken(false);
  const page = newPage();
  if (moved) scrollTo(0, 0);
  page.show("Loading", element("p", { class: "loading" }, "Loading…"));
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
  return [() => { throw new Failed("page not found", 404); }, null, []];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function askForToken(wasRejected) {
  forget();
  at("zone").hidden = at("sign-out").hidden = true;
  signIn(newPage(), visitAddress, wasRejected);
}

// The id of a job in an ARN, in a link of the AWS console, or alone.
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}([:#]\d+)?/i;

at("sign-out").addEventListener("click", () => { signOut(); askForToken(false); });
at("skip").addEventListener("click", () => main.focus());
at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("search").value.trim();
  if (!text) return;
  const id = ID.exec(decoded(text))?.[0];
  location.hash = id ? `#/jobs/${encodeURIComponent(id)}` : `#/jobs?name=${encodeURIComponent(text)}`;
  at("search").value = "";
});
addEventListener("hashchange", visitAddress);
shareToken(visitAddress);
offerZones(at("zone"), visitAddress);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, canvas")) return;
  if (event.key === "/") at("search").focus();
  else if (event.key === "j" || event.key === "k") moveToRow(event.key === "j" ? 1 : -1);
  else return;
  event.preventDefault();
});

// Moves the focus to the link of the next or the previous row of a list; Enter opens it.
function moveToRow(step) {
  const links = [...document.querySelectorAll("tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const current = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = current < 0 ? 0 : current + step;
  links[Math.max(0, Math.min(links.length - 1, next))]?.focus();
}
visitAddress();
