// From what a person chose to the body of POST /v1/images/generations.

import { sizeOf } from "./scale.js";

const SHOWN = { stream: true, partial_images: 3, explain: true };
export const PREVIEWED = "fast_preview";

/** A call for new pictures; `draftSizes` are what the quick model paints. */
export function makeBody(wish, draftSizes) {
  const quick = !wish.model && (wish.size === "auto" || draftSizes.includes(wish.size));
  return compact({
    prompt: wish.prompt,
    model: wish.model,
    tags: quick ? [PREVIEWED] : null,
    size: wish.size === "auto" ? null : wish.size,
    n: wish.n,
    seed: wish.seed,
    steps: wish.steps,
    guidance: wish.guidance,
    negative_prompt: wish.negative_prompt,
    deadline_ms: wish.deadline_ms,
    ...SHOWN,
  });
}

/** The picture again, larger; without a strength it stays the same picture. */
export function polishBody(picture, { size, strength, deadline_ms }) {
  return compact({
    ...started(picture),
    model: "final",
    strength: strength || null,
    size,
    deadline_ms,
    ...SHOWN,
  });
}

/** The picture with text set in a real font; the role follows from the text. */
export function captionBody(picture, { size, layer, deadline_ms }) {
  return compact({
    ...started(picture),
    size,
    text_layers: [layer],
    deadline_ms,
    ...SHOWN,
  });
}

/** One text on a canvas of this size; the picture goes where the text's box leaves room. */
export function layerOf({ text, font, colour, where, outline, plate }, size) {
  return compact({
    text,
    font,
    colour: colour.toLowerCase(),
    ...PLACES[where](size),
    outline: outline ? "auto" : "",
    plate: plate ? "auto" : "",
  });
}

const PLACES = {
  below: () => ({}), // a band of its own is what text without a box gets
  above: (size) => ({ box: boxOf(size, 1 / 4) }),
  over: (size) => ({ box: boxOf(size, 1), vertical_alignment: "bottom", max_size_px: largest(size) }),
};

/** A catalog name out of a prompt: its first few words before a comma. */
export function nameFor(prompt) {
  const plain = prompt.normalize("NFKD").toLowerCase().split(/[,;:.!?\n]/)[0];
  const words = plain.replace(/[\u0300-\u036f'’]/g, "").match(/[a-z0-9]+/g) ?? [];
  const telling = words.filter((word) => !FILLERS.has(word));
  return (telling.length ? telling : words).slice(0, 4).join("-").slice(0, 60) || "picture";
}

export const NAME = /^[a-z0-9]+([._-][a-z0-9]+)*$/;

const FILLERS = new Set(["a", "an", "the", "of", "with", "and", "in", "on", "for", "to", "its"]);

function started(picture) {
  const { prompt, negative_prompt } = picture.call.body;
  return { prompt, negative_prompt, draft: picture.requestId, seed: picture.seed, n: 1 };
}

/** From the top of the canvas, within a margin, this share of its height. */
function boxOf(size, share) {
  const { width, height } = sizeOf(size);
  const margin = Math.floor(Math.min(width, height) / 24);
  const end = share === 1 ? height - margin : Math.floor(height * share);
  return { x: margin, y: margin, width: width - 2 * margin, height: end - margin };
}

/** Over the picture, text is not as large as it could be: the picture is to be seen. */
function largest(size) {
  return Math.max(16, Math.round(sizeOf(size).height / 7));
}

/** Without what was left open, so that the service's own defaults hold. */
function compact(fields) {
  const open = (value) => value === null || value === undefined || value === "";
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !open(value)));
}
