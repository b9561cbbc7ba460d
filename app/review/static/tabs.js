// The tabs of the inspector: one panel at a time, arrow keys between them.

import { byId, say } from "./dom.js";

const NAMES = ["facts", "polish", "caption", "keep", "code"];
const UNPICKED = "Pick a picture to polish, caption or keep it.";
const NONE = "There is no picture here; ask again, or go back to one made before.";

export class Tabs {
  open = NAMES[0];
  #session;

  constructor(session) {
    this.#session = session;
    NAMES.forEach((name) => this.#tab(name).addEventListener("click", () => this.show(name)));
    byId("tab-facts").parentElement.addEventListener("keydown", (event) => this.#key(event));
    session.addEventListener("change", () => this.render());
    this.render();
  }

  /** Open a panel; with `focus`, go to where it is worked at. */
  show(name, { focus = null } = {}) {
    this.open = name;
    this.render();
    if (focus) byId(focus).focus();
  }

  render() {
    const { picked } = this.#session;
    const ready = Boolean(picked) && (picked.done || picked.call.status === "busy");
    say(byId("unpicked"), picked ? NONE : UNPICKED);
    NAMES.forEach((name) => {
      const on = name === this.open;
      this.#tab(name).setAttribute("aria-selected", String(on));
      this.#tab(name).tabIndex = on ? 0 : -1;
      byId(`panel-${name}`).hidden = !on || !ready;
    });
    byId("unpicked").hidden = ready;
  }

  #tab(name) {
    return byId(`tab-${name}`);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const to = NAMES[(NAMES.indexOf(this.open) + step + NAMES.length) % NAMES.length];
    this.show(to, { focus: `tab-${to}` });
    event.preventDefault();
  }
}
