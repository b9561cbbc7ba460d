// What there is to know of the picture that is picked: its seed, its way, its time and cost.

import { byId, draw, make } from "./dom.js";
import { seconds } from "./foot.js";

export class Facts {
  constructor(session, { useSeed, reveal }) {
    session.addEventListener("change", () => {
      const { picked } = session;
      if (!picked) return;
      const { call } = picked;
      draw(byId("panel-facts"), [call.started, picked.index, picked.done, call.first, call.total, picked.kept],
        () => panel(picked, { useSeed, reveal }));
    });
  }
}

function panel(picture, actions) {
  return [figures(picture), wayOf(picture.call), written(picture), pictureOf(picture, actions)];
}

function figures({ call, seconds: engine, cost }) {
  const rows = [
    ["First picture", time(call.first)],
    ["In all", time(call.total)],
    ["Engine", time(engine * 1000), of(call, "seconds", (sum) => time(sum * 1000))],
    ["Cost", money(cost), of(call, "cost", money)],
  ];
  return make("dl", { class: "figures" }, rows.map(([name, value, sum]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value), sum ? make("dd", { class: "hint" }, sum) : null)));
}

/** What all pictures of the call came to, where there are several. */
function of(call, name, written) {
  if (call.pictures.length === 1 || call.status !== "done") return null;
  return `of ${written(call.pictures.reduce((sum, one) => sum + one[name], 0))}`;
}

function time(milliseconds) {
  return Number.isFinite(milliseconds) && milliseconds !== null ? seconds(milliseconds) : "–";
}

function wayOf({ route }) {
  if (!route) return null;
  const rules = (route.considered ?? []).map((rule) => {
    const [text, , verdict] = rule.match(/^(.*?)(: (yes|no))?$/s).slice(1).map((part) => part ?? "");
    return make("li", { class: verdict === "no" ? "no" : "yes" }, text, make("span", {}, verdict));
  });
  return make("section", {},
    make("h2", {}, "The way"),
    make("p", { class: "route" }, make("span", { class: "chip" }, route.role), " ", make("strong", {}, route.model)),
    rules.length > 1 ? make("ul", { class: "rules" }, rules) : make("p", { class: "hint" }, `because ${route.reason}`));
}

function written({ text }) {
  if (!text?.length) return null;
  const rows = text.map(({ wanted, read, error_rate }) =>
    make("li", {}, `“${wanted}” `, make("span", { class: "hint" }, readBack(read, error_rate))));
  return make("section", {}, make("h2", {}, "Text, read back"), make("ul", { class: "read" }, rows));
}

function readBack(read, rate) {
  if (read === null || read === undefined) return "in a script the reader does not know";
  if (rate === 0) return "reads exactly so";
  return `reads “${read}”, ${(rate * 100).toFixed(0)} % of its letters wrong`;
}

function pictureOf(picture, { useSeed, reveal }) {
  if (!picture.done) return null;
  const { call } = picture;
  const rows = [
    ["Seed", String(picture.seed)],
    ["Size", picture.size.replace("x", " × ")],
    ["Steps", String(picture.steps)],
    ["Request", picture.requestId.slice(0, 12)],
    ...(call.body.strength ? [["Strength", String(call.body.strength)]] : []),
    ...(picture.kept ? [["Kept as", `${picture.kept.name}@${picture.kept.version}`]] : []),
  ];
  const list = rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  const back = call.parent && make("button", { type: "button", class: "quiet", onclick: () => reveal(call.parent) }, "What it came from");
  return make("section", {},
    make("h2", {}, "The picture"),
    make("dl", { class: "rows" }, list),
    make("p", { class: "row" },
      make("a", { class: "button quiet", href: picture.url, download: `${fileName(picture)}.png` }, "Download"),
      make("button", { type: "button", class: "quiet", onclick: () => useSeed(picture.seed) }, "Use this seed"),
      back));
}

export function fileName(picture) {
  return `${picture.kept?.name ?? "picture"}-${picture.seed}`;
}

/** Two telling digits, however little it is. */
function money(cost) {
  if (cost === null || cost === undefined) return "–";
  if (cost === 0) return "$0";
  const digits = Math.max(2, 1 - Math.floor(Math.log10(Math.abs(cost))));
  return `$${cost.toFixed(Math.min(digits, 12)).replace(/(\.\d\d+?)0+$/, "$1")}`;
}
