// A job, with the explanation of its status first. The view of a running job is updated until the job
// ends.

import { getVersion, Unauthorized } from "./api.js";
import { children } from "./children.js";
import { button, element, facts, link, linkOut, section, table } from "./elements.js";
import { hashOf, jobName, parentOf } from "./job_list.js";
import { visible } from "./live.js";
import { log } from "./log.js";
import { badge, causeWords, hasEnded, number, tone } from "./status.js";
import { ago, duration, elapsed, moment } from "./time.js";
import { timeline } from "./timeline.js";
import { money, usage } from "./usage.js";
import { hasLog, showFailures, showQueue, verdict } from "./verdict.js";

const WAIT_SECONDS = 20;
const PAUSE_SECONDS = 5;

export async function job(page, query, id) {
  let { body, etag } = await getVersion(["jobs", id], {}, page.signal);
  const kept = {
    log: log(page, id),
    children: body.array?.size || body.nodes ? children(page, query, body, (text) => copy(page, text)) : null,
    queue: element("div", { class: "queue-words" }),
    failures: element("li", {}),
    following: element("span", { class: "soft" }),
  };
  show(page, body, kept);
  if (body.waiting) showQueue(page, body, kept.queue);
  if (["RUNNING", "FAILED"].includes(body.status) && hasLog(body)) kept.log.show();
  if (!hasEnded(body.status)) {
    kept.log.follow(() => hasEnded(kept.status));
    body = await follow(page, body, etag, kept);
  }
  if (body.status === "FAILED" && !body.nodes) showFailures(page, body, kept.failures);
}

// Returns the job when it has ended. Waits for changes by long polls or, while all their slots are taken, by polling.
async function follow(page, job, etag, kept) {
  let wait = WAIT_SECONDS;
  kept.following.textContent = "updating live";
  while (!hasEnded(job.status)) {
    await visible(page.signal);
    try {
      const update = await getVersion(["jobs", job.jobId], { wait }, page.signal, etag);
      if (wait) kept.following.textContent = "updating live";
      else await pause(PAUSE_SECONDS);
      wait = WAIT_SECONDS;
      etag = update.etag;
      if (!update.body) continue;
      if (update.body.status !== job.status) page.announce(`The job is now ${update.body.status}`);
      job = update.body;
      show(page, job, kept);
    } catch (error) {
      if (page.signal.aborted || error instanceof Unauthorized) throw error;
      wait = error.status === 429 ? 0 : WAIT_SECONDS;
      kept.following.textContent = wait
        ? "not up to date: the API is unavailable, retrying"
        : "updating every few seconds";
      await pause(error.retrySeconds || PAUSE_SECONDS);
    }
  }
  kept.following.textContent = "";
  return job;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function show(page, job, kept) {
  kept.status = job.status;
  kept.children?.update(job);
  const parent = parentOf(job.jobId);
  page.show(`${jobName(job)} ${job.status}`,
    element("nav", { class: "path", "aria-label": "Breadcrumb" },
      link("#/jobs", "Jobs"), link(`#/queues/${encodeURIComponent(job.jobQueue)}`, job.jobQueue),
      parent && link(hashOf(parent), "parent job")),
    element("div", { class: "title" },
      element("h1", {}, jobName(job)), badge(job.status),
      element("span", { class: "soft" }, ago(job.since)), kept.following),
    element("p", { class: "id" }, element("code", {}, job.jobId),
      button("Copy", () => copy(page, job.jobId), { id: "copy", "aria-label": "Copy job ID" }),
      button("Copy curl", () => copy(page, curl(job)), { id: "copy-curl" }),
      linkOut(job.links.console, "AWS Batch"), linkOut(job.links.logs, "CloudWatch log")),
    verdict(job, kept),
    timeline(job),
    kept.children?.element, dependencies(job),
    element("div", { class: "two" },
      section("History", history(job)),
      section("Attempts", attempts(job, kept.log))),
    (hasLog(job) || job.status === "RUNNING") && section("Log", kept.log.element),
    element("div", { class: "two" },
      section("Container", container(job)),
      element("div", {}, named("Parameters", job.parameters), named("Tags", job.tags))));
}

const curl = (job) =>
  `curl -H "Authorization: Bearer $TOKEN" '${new URL(`jobs/${encodeURIComponent(job.jobId)}`, document.baseURI.split("#")[0])}'`;

async function copy(page, text) {
  await navigator.clipboard.writeText(text);
  page.announce("Copied");
}

// Details

function history(job) {
  const entries = job.history;
  return element("ol", { class: "history" }, entries.map(({ status, attempt, at, source }, n) => {
    const next = entries[n + 1]?.at;
    const lasted = next ? duration((new Date(next) - new Date(at)) / 1000) : !hasEnded(job.status) && elapsed(at);
    const details = [lasted, attempt && `attempt ${attempt}`, source === "repair" && "from the AWS Batch API"];
    return element("li", { class: tone(status) }, badge(status), moment(at),
      element("span", { class: "soft" }, details.filter(Boolean).flatMap((detail) => [detail, ", "]).slice(0, -1)));
  }));
}

function attempts(job, log) {
  if (!job.attempts.length) return element("p", { class: "none" }, hasEnded(job.status) ? "It never started." : "It has not started yet.");
  const rows = job.attempts.map((attempt) => [
    attempt.attempt,
    attempt.exitCode ?? "none",
    [attempt.cause ? causeWords(attempt.cause, attempt.exitCode) : attempt.stoppedAt ? "Succeeded" : "Running",
      element("small", {}, attempt.reason ?? attempt.statusReason ?? ""),
      attempt.computeEnvironment && element("small", {}, attempt.computeEnvironment),
      ...attempt.containers.map(containerEnd)],
    attempt.startedAt && attempt.stoppedAt
      ? duration((new Date(attempt.stoppedAt) - new Date(attempt.startedAt)) / 1000) : elapsed(attempt.startedAt) ?? "",
    attempt.logStreamName
      ? button("Log", () => log.show(attempt.attempt), { id: `log-${attempt.attempt}`, "aria-label": `Log of attempt ${attempt.attempt}` })
      : element("span", { class: "soft" }, "no log"),
  ]);
  return table("Attempts", ["No.", "Exit code", ["Outcome", "outcome"], ["Run time", "soft"], "Log"], rows);
}

// One of several containers. The first one determined the result of the attempt.
function containerEnd({ name, init, essential, exitCode, cause }) {
  const kind = init ? "init container" : essential ? "essential" : "not essential";
  const ended = exitCode == null ? "no exit code" : `exit code ${exitCode}`;
  return element("small", {}, `${name ?? "container"} (${kind}): ${ended}${cause && cause !== "EXIT_CODE" ? `, ${causeWords(cause, exitCode)}` : ""}`);
}

function dependencies({ dependsOn }) {
  if (!dependsOn.length) return null;
  const rows = dependsOn.map(({ jobId, type, jobName, status, cause }) => [
    status ? badge(status) : "not recorded",
    jobId ? link(hashOf(jobId), jobName ?? jobId) : "the child before",
    cause ? causeWords(cause) : type?.toLowerCase().replaceAll("_", " ") ?? "",
  ]);
  return section("Depends on", table("Dependencies", ["Status", "Job", ["Cause", "why"]], rows));
}

function container(job) {
  const { image, command, vcpus, memory, gpus, environment } = job.container;
  return facts([
    ["Image", image && element("code", {}, image)],
    ["Command", command.length > 0 && element("code", {}, command.join(" "))],
    ["vCPUs", number(vcpus)],
    ["Memory", memory && `${number(memory)} MiB`],
    ["GPUs", number(gpus)],
    ["Environment", environment.length > 0 && element("code", {}, environment.map(({ name }) => name).join(" "))],
    ["Definition", job.jobDefinition && element("code", {}, job.jobDefinition.split("/").at(-1))],
    ["Created", moment(job.createdAt)],
    ["Started", moment(job.startedAt)],
    ["Stopped", moment(job.stoppedAt)],
    ["Usage", job.usage && usage(job.usage)],
    ["Cost (estimate)", job.cost && money(job.cost)],
  ]);
}

const named = (heading, values) =>
  Object.keys(values).length > 0 && section(heading, facts(Object.entries(values)));
