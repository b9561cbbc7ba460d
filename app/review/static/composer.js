// The form that says what to make.

import { byId, make, say } from "./dom.js";
import { makeBody } from "./request.js";

const EXAMPLES = ["red potion, cartoon outline", "a golden crown, glossy", "a blue gem, flat game icon"];
const MORE = ["seed", "steps", "guidance", "deadline", "negative"];
const MANY = 8;

export class Composer {
  #session;
  #fleet;
  #form = byId("composer");

  constructor(session, fleet) {
    [this.#session, this.#fleet] = [session, fleet];
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    byId("variations").addEventListener("click", () => this.make(MANY));
    byId("cancel").addEventListener("click", () => session.cancel());
    byId("model").addEventListener("change", () => this.#fillSizes());
    byId("more").addEventListener("input", () => this.#countMore());
    byId("more-clear").addEventListener("click", () => this.#clearMore());
    document.addEventListener("click", (event) => this.#closeMore(event));
    byId("examples").append(...EXAMPLES.map((text) => this.#example(text)));
    session.addEventListener("change", () => this.#render());
  }

  /** Offer what is deployed now; what was chosen stays chosen if it still stands. */
  fill(fleet) {
    this.#fleet = fleet;
    const options = fleet.models.map((model) =>
      make("option", { value: fleet.nameOf(model) }, `${titled(model.role)} · ${model.id}`));
    choose(byId("model"), [make("option", { value: "" }, "Auto"), ...options]);
    this.#fillSizes();
  }

  /** Ask for the pictures; with `n`, for so many whatever is chosen. */
  make(n = Number(byId("number").value)) {
    if (this.#session.busy) return;
    byId("more").open = !this.#form.checkValidity() && byId("prompt").validity.valid;
    if (!this.#form.reportValidity()) return;
    const body = makeBody({ ...this.#wish(), n }, this.#fleet.draftSizes);
    this.#session.ask("make", body, { expected: this.#fleet.expected(body) });
  }

  get deadline() {
    return number("deadline", 1000);
  }

  /** The prompt of a call made before, unless there is one that was written since. */
  recall(call) {
    const { value } = byId("prompt");
    const asked = this.#session.calls.some(({ body }) => body.prompt === value.trim());
    if (asked || value.trim() === "") byId("prompt").value = call.body.prompt;
  }

  useSeed(seed) {
    byId("seed").value = seed;
    this.#countMore();
  }

  #wish() {
    return {
      prompt: byId("prompt").value.trim(),
      model: byId("model").value,
      size: byId("size").value,
      seed: number("seed"),
      steps: number("steps"),
      guidance: number("guidance"),
      negative_prompt: byId("negative").value.trim(),
      deadline_ms: this.deadline,
    };
  }

  #fillSizes() {
    const sizes = this.#fleet.sizesOf(byId("model").value);
    const options = sizes.map((size) => make("option", { value: size }, size.replace("x", " × ")));
    choose(byId("size"), [make("option", { value: "auto" }, "Auto"), ...options]);
  }

  #render() {
    const { busy } = this.#session;
    const focused = document.activeElement;
    byId("make").hidden = busy;
    byId("cancel").hidden = !busy;
    if (busy && focused === byId("make")) byId("cancel").focus();
    if (!busy && focused === byId("cancel")) byId("make").focus();
    byId("variations").disabled = busy;
  }

  #countMore() {
    const set = MORE.filter((id) => byId(id).value !== "").length;
    say(byId("more-count"), set ? `: ${set} set` : "");
  }

  #clearMore() {
    MORE.forEach((id) => (byId(id).value = ""));
    this.#countMore();
    byId("seed").focus();
  }

  #closeMore({ target }) {
    if (!byId("more").contains(target)) byId("more").open = false;
  }

  #example(text) {
    const use = () => {
      byId("prompt").value = text;
      this.make();
    };
    return make("li", {}, make("button", { type: "button", class: "quiet", onclick: use }, text));
  }
}

function choose(select, options) {
  const before = select.value;
  select.replaceChildren(...options);
  if (options.some((option) => option.value === before)) select.value = before;
}

function number(id, factor = 1) {
  const { value } = byId(id);
  return value === "" ? null : Number(value) * factor;
}

function titled(word) {
  return word[0].toUpperCase() + word.slice(1);
}
