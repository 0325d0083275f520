// Elements are made here and nowhere else. Texts become text nodes; nothing is ever read as HTML.

import { t } from "./i18n.js";

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

/** A text of the knowledge base, on its own in its direction; a long one is cut. */
export function value(text, tag = "span") {
  const whole = legible(text);
  return h(tag, { class: "value", dir: "auto", lang: languageOf(whole) }, beginning(whole) ?? whole);
}

/** The same with a button that shows all of a long text, and less of it again. */
export function openable(text) {
  const element = value(text);
  const whole = legible(text);
  const start = beginning(whole);
  if (start === null) return element;
  let isOpen = false;
  const button = h("button", {
    type: "button", class: "link", "aria-expanded": "false",
    onclick: () => {
      isOpen = !isOpen;
      button.setAttribute("aria-expanded", String(isOpen));
      button.textContent = t(isOpen ? "show_less" : "show_all");
      element.firstChild.data = `${isOpen ? whole : start} `;
    },
  }, t("show_all"));
  element.replaceChildren(`${start} `, button);
  return element;
}

/** How a text that is too long begins; null for one that is not. */
function beginning(text) {
  const characters = Array.from(text.slice(0, 2 * SHOWN_CHARS + 2)); // one may be two units long
  return characters.length > SHOWN_CHARS ? `${characters.slice(0, SHOWN_CHARS).join("")}…` : null;
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
