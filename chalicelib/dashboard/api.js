// Asks the API, with the token. What can go wrong:
//
//   Error
//   ├── Refused      the token is missing, wrong, or was taken back
//   ├── NotThere     nothing of that name, or not for this token
//   ├── Declined     any other answer; says why in the API's words
//   └── Unreachable  no answer at all

import { token } from "./token.js";

// This file is at assets/<version>/ of wherever the API is.
const ROOT = new URL("../../", import.meta.url);

export class Refused extends Error {}
export class NotThere extends Error {}
export class Unreachable extends Error {}
export class Declined extends Error {
  constructor(message, status, retrySeconds) {
    super(message);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

// The answer's body. `path` is a list of names, which may have any characters.
export async function get(path, query, signal) {
  return (await ask(path, query, { signal })).json();
}

// The body, null if it is still the version `etag`, and the version.
export async function getVersion(path, query, signal, etag) {
  const headers = etag ? { "If-None-Match": etag } : {};
  const answer = await ask(path, query, { signal, headers });
  return { body: answer.status === 304 ? null : await answer.json(), etag: answer.headers.get("ETag") ?? etag };
}

async function ask(path, query = {}, { signal, headers = {} }) {
  const url = new URL(path.map(encodeURIComponent).join("/"), ROOT);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const answer = await fetch(url, {
    signal,
    headers: { Authorization: `Bearer ${token()}`, Accept: "application/json", ...headers },
    cache: "no-store",
    credentials: "omit",
  }).catch((error) => {
    throw signal?.aborted ? error : new Unreachable(error.message);
  });
  if (answer.ok || answer.status === 304) return answer;
  throw await refusal(answer);
}

// Gateways refuse in a form of their own. They say 403 of a wrong token, and of a route that they
// don't have too; then they ask for a signature, and may repeat the token.
async function refusal(answer) {
  const body = await answer.json().catch(() => ({}));
  const message = body.Message ?? body.message ?? `the answer has the status ${answer.status}`;
  if (/Missing Authentication Token|Authorization header/.test(message))
    return new Declined("this API has no such route yet", 404);
  if (answer.status === 401 || answer.status === 403) return new Refused(message);
  if (answer.status === 404) return new NotThere(message);
  return new Declined(message, answer.status, Number(answer.headers.get("Retry-After")));
}
