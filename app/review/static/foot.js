// What the call in view is doing, in words and as a bar; and why it was not done.

import { byId, draw, make, say } from "./dom.js";

const PATIENCE = 2500; // milliseconds without a sketch after which waking is the likely reason
const TICK = 100;

export class Foot {
  #session;
  #again;
  #waiting = null; // the refusal whose time is counted down

  constructor(session, { again }) {
    [this.#session, this.#again] = [session, again];
    session.addEventListener("change", () => this.render());
    setInterval(() => this.#tick(), TICK);
  }

  render() {
    const call = this.#session.shown;
    say(byId("said"), call ? wordsOf(call) : "");
    say(byId("announce"), call ? milestoneOf(call) : "");
    this.#renderProgress(call);
    this.#renderProblem(call?.error ?? null);
  }

  #tick() {
    if (this.#session.shown?.status === "busy") this.render();
    if (this.#waiting) this.#renderRetry();
  }

  #renderProgress(call) {
    const bar = byId("progress");
    bar.classList.toggle("still", call?.status !== "busy");
    if (!call) return bar.removeAttribute("value");
    const { due, come } = progressOf(call);
    if (come || call.status !== "busy") bar.value = come / due;
    else bar.removeAttribute("value"); // how long it waits is not known
  }

  #renderProblem(error) {
    const box = byId("problem");
    box.hidden = !error;
    draw(box, error?.at ?? null, () => (error ? this.#problem(error) : []));
    if (!error) this.#waiting = null;
  }

  #problem(error) {
    const now = performance.now();
    this.#waiting = error.retryAfter ? { until: now + error.retryAfter * 1000 } : null;
    const again = make("button", { type: "button", class: "quiet", id: "again", onclick: this.#again }, "Ask again");
    const code = make("span", { class: "code-word" }, [error.status || null, error.code].filter(Boolean).join(" "));
    queueMicrotask(() => this.#waiting && this.#renderRetry());
    return [told(error), make("p", { class: "row" }, again, code)];
  }

  #renderRetry() {
    const button = byId("again");
    const seconds = Math.ceil((this.#waiting.until - performance.now()) / 1000);
    button.disabled = seconds > 0;
    say(button, seconds > 0 ? `Ask again in ${seconds} s` : "Ask again");
    if (seconds <= 0) this.#waiting = null;
  }
}

export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(milliseconds < 9995 ? 2 : 1)} s`;
}

function wordsOf(call) {
  if (call.status === "cancelled") return `Cancelled after ${seconds(call.total)}`;
  if (call.status === "failed") return "";
  if (call.status === "done") return `${call.pictures.length > 1 ? `${call.pictures.length} pictures` : "Made"} in ${seconds(call.total)}`;
  const gone = `${((performance.now() - call.started) / 1000).toFixed(1)} s`;
  const { due, come } = progressOf(call);
  if (come) return `Step ${come} of ${due} · ${gone}`;
  if (waking(call)) return `Waking: a model that was asleep takes about ten seconds · ${gone}`;
  return `Waiting for the first sketch · ${gone}`;
}

/** What is worth speaking aloud: not every sketch. */
function milestoneOf(call) {
  const many = call.pictures.length;
  const pictures = many === 1 ? "The picture is" : `${many} pictures are`;
  if (call.status === "done") return `${pictures} finished after ${seconds(call.total)}.`;
  if (call.status === "cancelled") return "Cancelled.";
  if (call.status === "failed") return ""; // the alert says it
  if (call.first !== null) return "The first sketch is there.";
  return waking(call) ? "The model may be waking; this takes about ten seconds." : "Asked.";
}

function waking(call) {
  return call.first === null && performance.now() - call.started > PATIENCE;
}

function progressOf(call) {
  const sketches = call.body.partial_images;
  const come = call.pictures.map((one) => (one.done ? sketches + 1 : one.sketches.length));
  return { due: call.pictures.length * (sketches + 1), come: come.reduce((sum, one) => sum + one, 0) };
}

/** A refusal in a line: what it comes to, then the service's own words. */
export function told(error) {
  return make("p", {}, make("strong", {}, headOf(error)), " ", error.message);
}

function headOf(error) {
  if (error.status === 429 || error.status === 503) return "Busy:";
  if (error.status === 401 || error.status === 403) return "Not let in:";
  if (error.status === 504) return "Too late:";
  return "Not done:";
}
