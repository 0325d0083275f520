// Elements are made here and nowhere else. Texts become text nodes; nothing is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";
// Marks that turn the direction of writing, with which a value could pass for another (as kbqa_agent/legible.py).
const DIRECTIONS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;
const SHOWN_CHARS = 300;

export const $ = (id) => document.getElementById(id);

/** Make an element: attributes (on… are listeners, true and false are set and left out), then children. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const legible = (text) => String(text).replace(DIRECTIONS, "");

/** The language that a voice should read a text in; undefined where the page's own will do. */
export function languageOf(text) {
  if (/\p{Script=Han}/u.test(text)) return "zh";
  return /[a-z]/i.test(text) ? "en" : undefined;
}

/** A text of the knowledge base, on its own in its direction; a long one is cut, with a button for the rest. */
export function value(text, more, tag = "span") {
  const whole = legible(text);
  const characters = Array.from(whole);
  const element = h(tag, { class: "value", dir: "auto", lang: languageOf(whole) });
  if (characters.length <= SHOWN_CHARS || !more) {
    element.textContent = whole;
    return element;
  }
  const button = h("button", { type: "button", class: "link", onclick: () => element.replaceChildren(whole) }, more);
  element.append(`${characters.slice(0, SHOWN_CHARS).join("")}… `, button);
  return element;
}

/** A bar as wide as a probability; the number beside it says the same. */
export function bar(probability) {
  const inner = h("span", {});
  inner.style.width = `${(100 * Math.min(1, Math.max(0, probability))).toFixed(1)}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

let turn = 0;
/** Let a screen reader say something. The same words twice are said twice. */
export function announce(text) {
  turn += 1;
  $("announcer").textContent = text + (turn % 2 ? "" : "\u00a0");
}
