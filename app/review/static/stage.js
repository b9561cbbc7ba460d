// The stage: the call in view, as a grid of its pictures or with one of them large.

import { byId, draw, make, say } from "./dom.js";
import { SMOOTH_FROM, show, sizeOf } from "./scale.js";
import { Tiles } from "./tiles.js";

const BACKDROPS = ["checkerboard", "white", "grey", "black"];
const RAIL = 48; // of the rail's height in stage.css, what a grid may use
const KINDS = { make: "", polish: "Polished: ", caption: "Captioned: " };

export class Stage {
  #session;
  #looks = new Looks();
  #tiles;
  #stage = byId("stage");
  #image = make("img", { alt: "", draggable: false });
  #looked = null; // the phase that is looked at instead of the newest

  constructor(session) {
    this.#session = session;
    this.#tiles = new Tiles(session, this.#looks);
    byId("large").append(make("span", { class: "ground" }, this.#image));
    byId("grid").addEventListener("click", () => this.showAll());
    byId("pixels").addEventListener("click", () => this.#turnPixels());
    byId("backdrop").addEventListener("click", () => this.#nextBackdrop());
    new ResizeObserver(() => this.render()).observe(byId("canvas"));
    session.addEventListener("change", () => this.render());
  }

  /** All pictures of the call, if it has more than one; whether there was anything to do. */
  showAll() {
    const { shown, picked } = this.#session;
    if (!picked || shown.pictures.length < 2) return false;
    this.#session.show(shown);
    this.#tiles.focus();
    return true;
  }

  focus() {
    this.#tiles.focus();
  }

  render() {
    const { shown, picked } = this.#session;
    const view = picked ? "large" : shown ? "grid" : "empty";
    this.#stage.dataset.view = view;
    byId("welcome").hidden = view !== "empty";
    byId("large").hidden = view !== "large";
    byId("grid").hidden = view !== "large" || shown.pictures.length < 2;
    say(byId("title"), shown ? KINDS[shown.kind] + shown.body.prompt : "");
    const canvas = byId("canvas");
    const room = { width: canvas.clientWidth, height: canvas.clientHeight };
    this.#tiles.render({ ...room, height: room.height + RAIL });
    this.#renderLarge(picked, room);
    this.#renderPixels(picked ?? shown?.pictures[0]);
  }

  #renderLarge(picked, room) {
    const phases = picked ? phasesOf(picked) : [];
    const looked = phases.find((phase) => phase.url === this.#looked);
    if (!looked) this.#looked = null;
    if (picked) this.#showLarge(picked, looked ?? newest(picked), inner(room));
    const on = (looked ?? phases.at(-1))?.url;
    byId("forming").hidden = phases.length === 0;
    draw(byId("forming"), [phases.map((phase) => phase.url), on, picked?.size], () =>
      phases.map((phase, index) => this.#phase(phase, index, phase.url === on)));
  }

  #showLarge(picked, { url, of }, room) {
    const size = picked.size ?? picked.call.expected;
    show(this.#image, { url, size }, room, { crisp: this.#looks.crisp(of) });
    byId("large").classList.toggle("void", !url && picked.call.status !== "busy");
    this.#image.classList.toggle("past", !picked.url && url !== null);
    this.#image.alt = `${picked.call.body.prompt}${picked.done ? "" : ", forming"}`;
  }

  #phase({ url, name, of }, index, on) {
    const look = () => {
      this.#looked = url;
      this.render();
      byId("forming").children[index].focus();
    };
    const image = make("img", { src: url, alt: "", width: 40, height: 40, class: this.#looks.crisp(of) ? "crisp" : "" });
    return make("button", { type: "button", class: "phase ground", title: name, "aria-label": name, "aria-pressed": String(on), onclick: look }, image);
  }

  #renderPixels(picture) {
    const button = byId("pixels");
    button.hidden = !picture;
    if (picture) button.setAttribute("aria-pressed", String(this.#looks.crisp(picture)));
  }

  #turnPixels() {
    this.#looks.turn(this.#session.picked ?? this.#session.shown.pictures[0]);
    this.render();
  }

  #nextBackdrop() {
    const root = document.documentElement;
    const now = BACKDROPS.indexOf(root.dataset.backdrop ?? BACKDROPS[0]);
    root.dataset.backdrop = BACKDROPS[(now + 1) % BACKDROPS.length];
    byId("backdrop").setAttribute("aria-label", `Backdrop: ${root.dataset.backdrop}`);
  }
}

/** All that became the picture: what it began from, its sketches, and itself. */
function phasesOf(picture) {
  const { parent } = picture.call;
  const sketches = picture.sketches.map((url, index) => ({ url, name: `Sketch ${index + 1}`, of: picture }));
  return [
    ...(parent ? [{ url: parent.url, name: "Where it began", of: parent }] : []),
    ...sketches,
    ...(picture.done ? [{ url: picture.url, name: "Finished", of: picture }] : []),
  ];
}

/** What there is of a picture so far; until its first sketch, what it begins from. */
function newest(picture) {
  const { parent } = picture.call;
  return picture.url || !parent ? { url: picture.url, of: picture } : { url: parent.url, of: parent };
}

/** Whether pictures are shown with hard pixels: small ones are, large ones are not, a turn inverts it. */
class Looks {
  #turned = { small: false, large: false };

  crisp(picture) {
    const kind = this.#kind(picture);
    return (kind === "small") !== this.#turned[kind];
  }

  turn(picture) {
    const kind = this.#kind(picture);
    this.#turned[kind] = !this.#turned[kind];
  }

  #kind(picture) {
    const { width, height } = sizeOf(picture.size ?? picture.call.expected);
    return Math.max(width, height) < SMOOTH_FROM ? "small" : "large";
  }
}

function inner({ width, height }) {
  return { width: width - 24, height: height - 24 };
}
