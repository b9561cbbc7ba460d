// The picture's request as text for a shell or for Python, and copying it.

import { address, key } from "./api.js";
import { curl, python, requestOf } from "./code.js";
import { byId, say } from "./dom.js";
import { fileName } from "./facts.js";

const TONGUES = { curl, python };

export class Elsewhere {
  #session;

  constructor(session) {
    this.#session = session;
    byId("panel-code").addEventListener("change", () => this.render());
    byId("copy").addEventListener("click", () => this.#copy());
    session.addEventListener("change", () => this.render());
  }

  render() {
    const { picked } = this.#session;
    byId("copy").disabled = !picked?.done;
    byId("code-draft").hidden = !picked?.call.body.draft;
    const text = picked?.done ? this.#text(picked) : "";
    if (byId("code").value === text) return;
    byId("code").value = text;
    say(byId("copied"), "");
  }

  #text(picture) {
    const tongue = document.querySelector("input[name=tongue]:checked").value;
    const keyed = key.get() !== "";
    return TONGUES[tongue](address(""), requestOf(picture), { keyed, file: `${fileName(picture)}.png` });
  }

  async #copy() {
    const field = byId("code");
    try {
      await navigator.clipboard.writeText(field.value);
      say(byId("copied"), "Copied.");
    } catch {
      field.select(); // no clipboard without https, or it was refused
      say(byId("copied"), "The browser refuses the clipboard; the text is selected for you to copy.");
    }
  }
}
