// What is done with the picture that is picked: polish it, caption it, keep it.

import { keep } from "./api.js";
import { byId, draw, make, say } from "./dom.js";
import { POLISH_SIZES } from "./fleet.js";
import { told } from "./foot.js";
import { NAME, captionBody, layerOf, nameFor, polishBody } from "./request.js";
import { sizeOf } from "./scale.js";

/** Each panel's form, bound to the session; `deadline` is what the composer says. */
export class Panels {
  #session;
  #fleet;
  #deadline;
  #failed;
  #named = null; // the picture whose name stands in the field

  constructor(session, fleet, { deadline, failed }) {
    [this.#session, this.#fleet, this.#deadline, this.#failed] = [session, fleet, deadline, failed];
    on("panel-polish", () => this.#polish());
    on("panel-caption", () => this.#caption());
    on("panel-keep", () => this.#keep());
    byId("strength").addEventListener("input", sayStrength);
    byId("name").addEventListener("input", checkName);
    byId("text").addEventListener("keydown", (event) => enterSubmits(event));
    session.addEventListener("change", () => this.render());
    this.fill(fleet);
  }

  fill(fleet) {
    this.#fleet = fleet;
    sizeChoice("polish-sizes", fleet.polishSizes, fleet.usual("final", fleet.polishSizes));
    sizeChoice("caption-sizes", POLISH_SIZES, fleet.usual("typography", POLISH_SIZES));
    this.render();
  }

  render() {
    const { picked, busy } = this.#session;
    const ready = Boolean(picked?.done) && !busy;
    byId("panel-polish").querySelector(".primary").disabled = !ready || !this.#fleet.of("final");
    byId("panel-caption").querySelector(".primary").disabled = !ready || !this.#fleet.of("typography");
    byId("panel-keep").querySelector(".primary").disabled = !picked?.done;
    if (picked?.done && picked !== this.#named) this.#suggest(picked);
    this.#renderKept(picked);
  }

  #suggest(picked) {
    this.#named = picked;
    byId("name").value = picked.kept?.name ?? nameFor(picked.call.body.prompt);
    checkName();
  }

  #polish() {
    const strength = Number(byId("strength").value);
    const size = chosen("polish-size");
    this.#follow("polish", polishBody(this.#session.picked, { strength, size, deadline_ms: this.#deadline() }));
  }

  #caption() {
    const size = chosen("caption-size");
    const layer = layerOf({
      text: byId("text").value.trim(), font: byId("font").value, colour: byId("colour").value,
      where: chosen("where"), outline: byId("outline").checked, plate: byId("plate").checked,
    }, size);
    this.#follow("caption", captionBody(this.#session.picked, { size, layer, deadline_ms: this.#deadline() }));
  }

  #follow(kind, body) {
    this.#session.ask(kind, body, { parent: this.#session.picked, expected: body.size });
  }

  async #keep() {
    const { picked } = this.#session;
    const usage = byId("usage").value.trim();
    const name = byId("name").value;
    picked.unkept = null;
    try {
      picked.kept = await keep({ request_id: picked.requestId, name, ...(usage && { usage }) });
    } catch (refused) {
      picked.unkept = refused;
      this.#failed(refused);
    }
    this.#session.changed();
  }

  #renderKept(picked) {
    const kept = picked?.kept ?? null;
    const unkept = picked?.unkept ?? null;
    draw(byId("kept"), kept, () => (kept ? keptWords(kept) : []));
    draw(byId("unkept"), unkept?.at ?? null, () => (unkept ? told(unkept) : []));
    byId("unkept").hidden = !unkept;
  }
}

function keptWords({ name, version, status, files, already }) {
  return [
    make("p", {}, make("strong", {}, already ? "Kept already: " : "Kept: "), `${name}@${version}`),
    make("p", { class: "hint" }, `${status}, ${files.map((file) => file.size).join(", ")}`),
  ];
}

function on(id, act) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    if (!event.target.querySelector(".primary").disabled) act();
  });
}

function sizeChoice(id, sizes, preferred) {
  const name = id.replace("sizes", "size");
  const choices = sizes.map((size) =>
    make("label", {},
      make("input", { type: "radio", name, value: size, checked: size === preferred }),
      make("span", {}, squareOr(size))));
  byId(id).replaceChildren(...choices);
}

function squareOr(size) {
  const { width, height } = sizeOf(size);
  return width === height ? String(width) : `${width} × ${height}`;
}

function chosen(name) {
  return document.querySelector(`input[name="${name}"]:checked`).value;
}

function sayStrength() {
  const strength = Number(byId("strength").value);
  say(byId("strength-said"), strength ? strength.toFixed(2) : "the same picture, larger");
}

function checkName() {
  const field = byId("name");
  field.setCustomValidity(NAME.test(field.value) ? "" : "Lower-case words, with . _ or - between them");
}

function enterSubmits(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
