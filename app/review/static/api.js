// The doors of the service; an answer that is no success is thrown as `Refused`.

import { events } from "./sse.js";

const KEY = "atelier.key"; // of this tab alone, gone with it

/** Why the service did not do it, in its own words. */
export class Refused extends Error {
  constructor({ status = 0, code = "", message, param = null, retryAfter = null }) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter, at: performance.now() });
  }
}

export const address = (path) => new URL(path, document.baseURI).href;

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

/** What is deployed. */
export async function models() {
  return (await (await call("v1/models")).json()).data;
}

/** A picture published in the catalog under a name. */
export async function keep(body) {
  return (await call("v1/images/keep", { body })).json();
}

/** Every event of one call for pictures; aborting the signal makes the service drop the work. */
export async function* paint(body, signal) {
  const answer = await call("v1/images/generations", { body, signal });
  for await (const event of events(answer.body)) {
    if (event.error) throw new Refused(event.error);
    yield event;
  }
}

async function call(path, { body, signal } = {}) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...bearer() };
  const method = body ? "POST" : "GET";
  const text = body && JSON.stringify(body);
  const answer = await fetch(address(path), { method, headers, body: text, signal, cache: "no-store" })
    .catch((fault) => {
      if (fault.name === "AbortError") throw fault;
      throw new Refused({ code: "no_answer", message: "The service does not answer; is it running?" });
    });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

function bearer() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

async function refusal(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  const body = await answer.json().catch(() => null); // a proxy's page is no JSON
  const error = body?.error ?? { message: `The service answered ${answer.status} without a word.` };
  return new Refused({ ...error, status: answer.status, retryAfter });
}
