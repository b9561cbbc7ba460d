// Elements by hand: text is always text, so that no prompt or message can become markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties (`class`, `on…`, `aria-…`, `data-…`, or plain DOM ones) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

const drawn = new WeakMap();

/** New children for an element, built only when the key differs from the last one. */
export function draw(element, key, build) {
  const text = JSON.stringify(key);
  if (drawn.get(element) === text) return;
  drawn.set(element, text);
  element.replaceChildren(...[build()].flat().filter((child) => child !== null));
}

/** Text that is only touched when it changes: live regions speak at every touch. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether keys typed at this element are text. */
export function takesText(element) {
  return element?.matches?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])");
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") element.className = value;
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name in element && !name.includes("-")) element[name] = value;
  else element.setAttribute(name, value);
}
