// What was asked and made since the page was opened; it says `change` and draws nothing.

import { Refused, paint } from "./api.js";

const MOST_CALLS = 60; // pictures live in the browser's memory

/** Calls in the order they were made, the one in view, and its picture that is picked. */
export class Session extends EventTarget {
  calls = [];
  shown = null;
  picked = null;
  #abort = null;

  get busy() {
    return this.#abort !== null;
  }

  /** Ask, and follow the answer until it ends; one call at a time. */
  async ask(kind, body, { parent = null, expected = "64x64" } = {}) {
    if (this.busy) return;
    const call = newCall(kind, body, parent, expected);
    this.#abort = new AbortController();
    this.#add(call);
    this.show(call, call.pictures.length === 1 ? call.pictures[0] : null);
    try {
      for await (const event of paint(body, this.#abort.signal)) {
        take(call, event);
        this.changed();
      }
      call.status = call.pictures.every((picture) => picture.done) ? "done" : "failed";
      if (call.status === "failed") {
        call.error = new Refused({ code: "cut_off", message: "The answer ended early; ask again." });
      }
    } catch (fault) {
      call.status = fault.name === "AbortError" ? "cancelled" : "failed";
      call.error = call.status === "failed" ? known(fault) : null;
    }
    call.total = performance.now() - call.started;
    this.#abort = null;
    this.changed();
    this.dispatchEvent(new CustomEvent("settled", { detail: call }));
  }

  cancel() {
    this.#abort?.abort();
  }

  show(call, picture = null) {
    [this.shown, this.picked] = [call, picture];
    this.changed();
  }

  pick(picture) {
    this.show(picture.call, picture);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  #add(call) {
    this.calls.push(call);
    if (this.calls.length > MOST_CALLS) this.calls.shift().pictures.forEach(forget);
  }
}

function newCall(kind, body, parent, expected) {
  const call = { kind, body, parent, expected, status: "busy", started: performance.now() };
  Object.assign(call, { first: null, total: null, route: null, error: null });
  call.pictures = Array.from({ length: body.n }, (_, index) => ({
    call, index, seed: body.seed === undefined ? null : (body.seed + index) % 2 ** 32,
    sketches: [], url: null, done: false, kept: null,
  }));
  return call;
}

function take(call, event) {
  call.first ??= performance.now() - call.started;
  const picture = call.pictures[event.image_index ?? 0];
  const url = urlOf(event.b64_json);
  picture.url = url;
  picture.size = event.size;
  if (event.type !== "image_generation.completed") return void picture.sketches.push(url);
  call.route = event.route;
  Object.assign(picture, {
    done: true, seed: event.seed, steps: event.steps, requestId: event.request_id,
    seconds: event.seconds, cost: event.cost_usd ?? null, text: event.text ?? null,
  });
}

function urlOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}

function forget(picture) {
  [...picture.sketches, picture.url].forEach((url) => url && URL.revokeObjectURL(url));
}

function known(fault) {
  if (fault instanceof Refused) return fault;
  return new Refused({ code: "cut_off", message: "The answer broke off; ask again." });
}
