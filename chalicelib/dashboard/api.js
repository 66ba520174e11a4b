// Requests to the API, with the token. Their errors:
//
//   Error
//   ├── Unauthorized  the token is missing, invalid or revoked
//   ├── NotFound      the resource does not exist, or the token does not cover it
//   ├── Failed        any other error response, with the API's message
//   └── Unreachable   no response

import { token } from "./token.js";

// The API's base address: this file is at assets/<version>/.
const ROOT = new URL("../../", import.meta.url);

export class Unauthorized extends Error {}
export class NotFound extends Error {}
export class Unreachable extends Error {}
export class Failed extends Error {
  constructor(message, status, retrySeconds) {
    super(message);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

// Returns the body. `path` is a list of unencoded segments.
export async function get(path, query, signal) {
  return (await request(path, query, { signal })).json();
}

// Returns the queues of all pages.
export async function getQueues(signal) {
  const all = [];
  let nextToken = null;
  do {
    const page = await get(["queues"], { nextToken }, signal);
    all.push(...page.queues);
    ({ nextToken } = page);
  } while (nextToken);
  return all;
}

// Returns the body, or null if its version is still `etag`, and its version.
export async function getVersion(path, query, signal, etag) {
  const headers = etag ? { "If-None-Match": etag } : {};
  const response = await request(path, query, { signal, headers });
  return { body: response.status === 304 ? null : await response.json(), etag: response.headers.get("ETag") ?? etag };
}

async function request(path, query = {}, { signal, headers = {} }) {
  const url = new URL(path.map(encodeURIComponent).join("/"), ROOT);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const response = await fetch(url, {
    signal,
    headers: { Authorization: `Bearer ${token()}`, Accept: "application/json", ...headers },
    cache: "no-store",
    credentials: "omit",
  }).catch((error) => {
    throw signal?.aborted ? error : new Unreachable(error.message);
  });
  if (response.ok || response.status === 304) return response;
  throw await errorOf(response);
}

// Gateways have an error form of their own. They return 403 for an invalid token and also for an
// unknown route, whose message asks for a signature and may repeat the token.
async function errorOf(response) {
  const body = await response.json().catch(() => ({}));
  const message = body.Message ?? body.message ?? `the API responded with status ${response.status}`;
  if (/Missing Authentication Token|Authorization header/.test(message))
    return new Failed("this API has no such route", 404);
  if (response.status === 401 || response.status === 403) return new Unauthorized(message);
  if (response.status === 404) return new NotFound(message);
  return new Failed(message, response.status, Number(response.headers.get("Retry-After")));
}
