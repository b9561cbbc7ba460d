// The pictures of the call in view as one list box: arrow keys move, Enter picks.

import { byId, draw, make, say } from "./dom.js";
import { columnsFor, show, shownSize, sizeOf } from "./scale.js";

const GAP = 8, LABEL = 24; // as in stage.css
const NEAR = 0.7;
const LEAST = 72; // pixels a side: smaller ones tell nothing apart

export class Tiles {
  #session;
  #looks;
  #box = byId("tiles");
  #at = 0;
  #columns = 1;

  constructor(session, looks) {
    [this.#session, this.#looks] = [session, looks];
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("click", (event) => this.#click(event));
  }

  /** Show the call's pictures in this room: as a grid, or as a row beneath the one picked. */
  render(room) {
    const { shown, picked } = this.#session;
    const pictures = shown && (shown.pictures.length > 1 || !picked) ? shown.pictures : [];
    draw(this.#box, [shown?.started, pictures.length], () => pictures.map((one) => this.#tile(one)));
    this.#box.hidden = pictures.length === 0;
    if (!pictures.length) return;
    if (picked) this.#turnTo(picked.index);
    this.#at = Math.min(this.#at, pictures.length - 1);
    const side = this.#arrange(pictures.length, room, picked);
    [...this.#box.children].forEach((tile, index) => this.#dress(tile, pictures[index], side));
  }

  focus() {
    this.#box.children[this.#at]?.focus({ preventScroll: true });
  }

  /** The one picked is where the arrow keys go on from, and stays in sight. */
  #turnTo(index) {
    if (this.#at === index) return;
    this.#at = index;
    this.#box.children[index].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #arrange(count, room, picked) {
    if (picked) {
      this.#columns = count;
      return this.#box.firstChild.clientWidth;
    }
    const { columns, side } = columnsFor(count, room, { gap: GAP, label: LABEL });
    const fitted = this.#snapped(Math.max(side, LEAST));
    this.#columns = columns;
    this.#box.style.setProperty("--columns", columns);
    this.#box.style.setProperty("--side", `${fitted}px`);
    return fitted;
  }

  /** The tile as small as its picture, where that is about as large. */
  #snapped(side) {
    const [picture] = this.#session.shown.pictures;
    const { width, height } = shownSize(sizeOf(picture.size ?? picture.call.expected),
      { width: side, height: side }, { crisp: this.#looks.crisp(picture) });
    return Math.max(width, height) > side * NEAR ? Math.max(width, height) : side;
  }

  #tile(picture) {
    return make("div", { class: "tile", role: "option", "data-index": picture.index },
      make("span", { class: "ground" }, make("img", { alt: "", draggable: false })),
      make("span", { class: "seed" }));
  }

  #dress(tile, picture, side) {
    const { picked, shown } = this.#session;
    const crisp = this.#looks.crisp(picture);
    show(tile.querySelector("img"), { url: picture.url, size: picture.size ?? shown.expected },
      { width: side, height: side }, { crisp });
    tile.tabIndex = picture.index === this.#at ? 0 : -1;
    tile.setAttribute("aria-selected", String(picture === picked));
    tile.setAttribute("aria-label", labelOf(picture, shown));
    tile.dataset.state = picture.done ? "done" : picture.url ? "sketch" : "waiting";
    say(tile.querySelector(".seed"), picture.seed === null ? "…" : String(picture.seed));
  }

  #key(event) {
    const count = this.#box.children.length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns, ArrowDown: this.#columns }[event.key];
    const jump = { Home: 0, End: count - 1 }[event.key];
    const to = step === undefined ? jump : this.#at + step;
    if (event.key === "Enter" || event.key === " ") this.#pick(this.#at);
    else if (to === undefined) return;
    else if (to >= 0 && to < count) this.#move(to);
    event.preventDefault();
  }

  #move(to) {
    this.#at = to;
    if (this.#session.picked) this.#pick(to); // while one is large, moving compares
    else this.#session.changed();
    this.focus();
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (tile) this.#pick(Number(tile.dataset.index));
  }

  #pick(index) {
    this.#at = index;
    this.#session.pick(this.#session.shown.pictures[index]);
    this.focus();
  }
}

function labelOf(picture, call) {
  const state = picture.done ? "" : picture.url ? ", forming" : ", waiting";
  const seed = picture.seed === null ? "" : `, seed ${picture.seed}`;
  return `${picture.index + 1} of ${call.pictures.length}${seed}${state}`;
}
