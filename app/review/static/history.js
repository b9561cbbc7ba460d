// The strip of all that was made in this session, newest last.

import { byId, make } from "./dom.js";

const KINDS = { make: "", polish: "Polished", caption: "Captioned" };
const MARKS = { polish: "✦", caption: "T" };

export class History {
  #session;
  #recall; // what else follows from going back to a call
  #items = new Map(); // by call

  constructor(session, { recall }) {
    [this.#session, this.#recall] = [session, recall];
    session.addEventListener("change", () => this.render());
  }

  render() {
    const { calls } = this.#session;
    byId("no-history").hidden = calls.length > 0;
    for (const [call, item] of this.#items) {
      if (calls.includes(call)) continue;
      item.remove();
      this.#items.delete(call);
    }
    calls.forEach((call) => this.#renderCall(call));
  }

  #renderCall(call) {
    if (!this.#items.has(call)) this.#add(call);
    const button = this.#items.get(call).firstChild;
    const shown = call === this.#session.shown;
    const best = this.#best(call, shown);
    const image = button.querySelector("img");
    if (best.url && image.getAttribute("src") !== best.url) image.src = best.url;
    button.dataset.status = call.status;
    button.setAttribute("aria-current", String(shown));
    button.classList.toggle("was-kept", call.pictures.some((picture) => picture.kept));
  }

  #best(call, shown) {
    if (shown && this.#session.picked) call.best = this.#session.picked;
    return call.best ?? call.pictures[0];
  }

  #add(call) {
    const { prompt } = call.body;
    const many = call.pictures.length;
    const label = [KINDS[call.kind], prompt, many > 1 ? `${many} pictures` : ""].filter(Boolean).join(", ");
    const button = make("button", { type: "button", class: "made", title: label, "aria-label": label, onclick: () => this.#show(call) },
      make("span", { class: "ground" }, make("img", { alt: "", width: 48, height: 48 })),
      many > 1 ? make("span", { class: "count" }, String(many)) : null,
      call.kind in MARKS ? make("span", { class: "count" }, MARKS[call.kind]) : null);
    const item = make("li", {}, button);
    this.#items.set(call, item);
    byId("history").append(item);
    item.scrollIntoView({ block: "nearest", inline: "end" });
  }

  #show(call) {
    this.#recall(call);
    this.#session.show(call, call.best ?? (call.pictures.length === 1 ? call.pictures[0] : null));
  }
}
