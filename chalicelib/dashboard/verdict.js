// The verdict of a job: why it has its status, and the next steps after a failure.

import { get } from "./api.js";
import { button, element, link, linkOut } from "./elements.js";
import { hashOf, parentOf } from "./job_list.js";
import { hashFor } from "./jobs.js";
import { queueWords } from "./queue.js";
import { causeWords, hasEnded, number, tone, WAITING } from "./status.js";
import { duration, elapsed } from "./time.js";

// `kept` are the parts that are kept between updates: the words about the queue, the failures of the
// definition, and the log.
export function verdict(job, { queue, failures, log }) {
  const { heading, text, quoted } = reason(job);
  return element("section", { class: `why ${tone(job.status)}`, "aria-label": "Explanation" },
    element("h2", {}, heading),
    element("p", { class: "figures" }, figures(job)),
    text && element("p", {}, text),
    quoted && !text?.includes(quoted) && element("p", { class: "quoted" }, "Reported by AWS Batch: ", element("q", {}, quoted)),
    job.waiting && queue,
    job.status === "FAILED" && element("ul", { class: "next", "aria-label": "Next steps" }, nextSteps(job, log), failures));
}

// As in "Had 16 GiB of memory · ran 3 h 2 min · attempt 3 of 3".
function figures({ container: { memory }, durations, attempts, retryStrategy, failure, status }) {
  const last = attempts.at(-1)?.attempt;
  const allowed = retryStrategy.attempts;
  const needsMemory = ["OUT_OF_MEMORY", "KILLED"].includes(failure?.cause);
  const words = [
    needsMemory && memory && `had ${memory < 1024 ? `${memory} MiB` : `${number(memory / 1024)} GiB`} of memory`,
    status !== "RUNNING" && durations.runningSeconds && `ran ${duration(durations.runningSeconds)}`,
    last && (last > 1 || allowed > 1) && `attempt ${last}${allowed >= last ? ` of ${allowed}` : ""}`,
  ].filter(Boolean).join(" · ");
  return words && words[0].toUpperCase() + words.slice(1);
}

function reason(job) {
  const quoted = job.statusReason;
  const ran = duration(job.durations.runningSeconds);
  if (job.failure) {
    return { heading: causeWords(job.failure.cause, job.failure.exitCode), text: job.failure.explanation, quoted };
  }
  if (!hasEnded(job.status) && job.array?.size && hasBegun(job.array)) {
    return { heading: progress(job.array), text: job.waiting?.cause && job.waiting.explanation, quoted };
  }
  if (job.waiting) {
    const { cause, explanation } = job.waiting;
    return { heading: [`${job.status} for `, elapsed(job.since), cause && `: ${cause}`], text: explanation, quoted };
  }
  if (job.status === "RUNNING") return { heading: ["Running for ", elapsed(job.startedAt ?? job.since)] };
  if (job.status === "SUCCEEDED") return { heading: ran ? `Succeeded after running for ${ran}` : "Succeeded" };
  if (job.status === "UNKNOWN") return { heading: "Final status unknown", text: job.statusReason };
  return { heading: `Status: ${job.status}`, quoted };
}

// An array is PENDING while its children run.
const hasBegun = ({ statusSummary }) => Object.keys(statusSummary ?? {}).some((status) => !WAITING.includes(status));

function progress({ size, statusSummary: { SUCCEEDED = 0, FAILED = 0 } }) {
  const ended = SUCCEEDED + FAILED;
  return `${number(ended)} of ${number(size)} children ended (${number(Math.floor((ended / size) * 100))} %)${FAILED ? `, ${number(FAILED)} failed` : ""}`;
}

// Links and one button: what caused the failure first, then where to look and what to change, then
// the failures like this one.
function nextSteps(job, log) {
  const { jobId, jobQueue, array, dependsOn, links } = job;
  const parent = parentOf(jobId);
  const dependency = dependsOn.find(({ status, jobId }) => status === "FAILED" && jobId);
  const child = array?.failed && parseInt(array.failed);
  const read = hasLog(job);
  return [
    dependency && link(hashOf(dependency.jobId), `See ${dependency.jobName ?? dependency.jobId}, which failed before`),
    array?.failed && link(hashOf(`${jobId}:${child}`), `See child ${child}, the first that failed`),
    read && button("Read the end of the log", () => goTo(log), { id: "read-log", class: "link" }),
    !read && linkOut(links.console, "Open the job in AWS Batch"),
    TO_CHANGE.includes(job.failure?.cause) && linkOut(definitionLink(job), `Open the job definition ${job.jobDefinition?.split("/").at(-1)}`),
    parent ? link(`${hashOf(parent)}?children=FAILED`, "See the other failed children")
      : link(hashFor({ queue: jobQueue, name: job.jobName, status: "FAILED" }), "See failed jobs of this name"),
  ].filter(Boolean).map((step) => element("li", {}, step));
}

// Causes after which the job definition may have to be changed.
const TO_CHANGE = ["OUT_OF_MEMORY", "KILLED", "TIMEOUT", "IMAGE_PULL", "CANNOT_START", "SPOT_INTERRUPTION"];

export const hasLog = ({ attempts }) => attempts.some(({ logStreamName }) => logStreamName);

async function goTo(log) {
  await log.show();
  log.element.scrollIntoView();
  log.element.querySelector("pre")?.focus({ preventScroll: true });
}

// The job definition in the console that contains the job.
function definitionLink({ jobDefinition, links }) {
  const [console, page] = links.console?.split("#jobs/") ?? [];
  return page && jobDefinition?.startsWith("arn:") && `${console}#job-definition/detail/${encodeURIComponent(jobDefinition)}`;
}

// Shows whether other jobs of the same definition fail, too.
export async function showFailures(page, { jobQueue, jobDefinition }, place) {
  const name = jobDefinition?.split("/").at(-1).split(":")[0];
  const found = name && await get(["queues", jobQueue], {}, page.signal).catch(() => null);
  const count = found?.lastDay?.definitions[name];
  if (count) place.replaceChildren(link(hashFor({ queue: jobQueue, status: "FAILED", since: "-24h" }),
    `See all failures of ${jobQueue} in 24 h, ${number(count)} of ${name}`));
}

export async function showQueue(page, job, place) {
  const found = await get(["queues", job.jobQueue], {}, page.signal).catch(() => null);
  if (found) place.replaceChildren(...queueWords(found, job.jobId));
}
