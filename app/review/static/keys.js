// The keyboard: what each key does, wherever the focus is.

import { byId, say, takesText } from "./dom.js";

const APPLE = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Bind the keys; single letters do nothing in text fields, and nothing at all if turned off. */
export function bindKeys({ session, composer, stage, tabs }) {
  const panel = (name, focus) => () => session.picked && tabs.show(name, { focus });
  const letters = {
    v: () => composer.make(8),
    p: panel("polish", "strength"),
    c: panel("caption", "text"),
    k: panel("keep", "name"),
    g: () => stage.showAll(),
    "/": () => byId("prompt").focus(),
    "?": () => byId("keys").showModal(),
  };
  document.querySelectorAll(".chord").forEach((chord) => say(chord, APPLE ? "⌘ ↵" : "Ctrl ↵"));
  byId("help").addEventListener("click", letters["?"]);
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return done(event, () => composer.make());
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return done(event, () => leave({ session, stage }));
    if (takesText(event.target) || !byId("single-keys").checked) return;
    const act = letters[event.key.toLowerCase()];
    if (act) done(event, act);
  });
}

function done(event, act) {
  event.preventDefault();
  act();
}

/** Escape: the nearest thing that can be left. */
function leave({ session, stage }) {
  if (session.busy) return session.cancel();
  if (byId("more").open) return void (byId("more").open = false);
  if (takesText(document.activeElement) && session.shown) {
    document.activeElement.blur();
    return stage.focus();
  }
  stage.showAll();
}
