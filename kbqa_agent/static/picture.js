// A neighbourhood as SVG: what has the entity as object on the left, what is said of it on the right; on a narrow screen
// all below it. Entities are boxes and buttons, other values are text.

import { legible, s } from "./dom.js";
import { t } from "./i18n.js";

const ROW = 42;
const BOX = 30;
const NARROW = 560; // pixels
const MOST_CHARACTERS = 120;
const ruler = document.createElement("canvas").getContext("2d");

/** How many triples are drawn. */
export const drawn = (found) => found.triples.length + found.about.length;

/** Draw {entities, triples, about}; `go` is told where a click leads. */
export function picture(found, width, go) {
  const centre = legible(found.entities[0].name);
  const out = found.triples.map((fact) => ({ ...fact, shown: fact.object, place: fact.object_is_entity ? { name: fact.object } : null }));
  const into = found.about.map((fact) => ({ ...fact, shown: fact.subject, place: { entity: fact.subject_id, name: fact.subject } }));
  return width < NARROW ? below(centre, into, out, width, go) : beside(centre, into, out, width, go);
}

function beside(centre, into, out, width, go) {
  const height = ROW * Math.max(into.length, out.length, 2);
  const middle = height / 2;
  const column = Math.min(230, width * 0.28);
  const coreWidth = Math.min(220, width * 0.22);
  const coreLeft = into.length ? (width - coreWidth) / 2 : 1;
  const lines = [];
  const nodes = [];
  const place = (facts, left, from, to) => facts.forEach((fact, index) => {
    const y = middle + (index - (facts.length - 1) / 2) * ROW;
    const elbow = from + (to - from) * 0.3; // beyond it each line has its row to itself, and its label there
    const bend = (from + elbow) / 2;
    lines.push(s("path", { class: "edge", d: `M${from} ${middle}C${bend} ${middle} ${bend} ${y} ${elbow} ${y}H${to}` }));
    const room = Math.abs(to - elbow) - 8;
    lines.push(label(fact.predicate, (elbow + to) / 2, y + 4, room, "middle"));
    nodes.push(node(fact, left, y - BOX / 2, column, go));
  });
  place(into, 1, coreLeft, column + 1);
  place(out, width - column - 1, coreLeft + coreWidth, width - column - 1);
  return frame(width, height, centre, [...lines, ...nodes, core(centre, coreLeft, middle - BOX / 2 - 3, coreWidth)]);
}

function below(centre, into, out, width, go) {
  const rows = [...out, ...into];
  const parts = [];
  const step = ROW + 14;
  const spine = 12;
  rows.forEach((fact, index) => {
    const y = BOX + 34 + index * step;
    const isOut = index < out.length;
    parts.push(s("path", { class: "edge", d: `M${spine} ${BOX + 6}V${y + BOX / 2}H${spine + 14}` }));
    parts.push(label(`${isOut ? "" : "← "}${fact.predicate}`, spine + 18, y - 6, width - spine - 20, "start"));
    parts.push(node(fact, spine + 14, y, width - spine - 16, go));
  });
  return frame(width, BOX + 20 + rows.length * step, centre, [...parts, core(centre, 1, 0, width - 2)]);
}

function frame(width, height, centre, parts) {
  const attributes = { class: "picture", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": t("around", centre) };
  return s("svg", attributes, parts);
}

function core(text, x, y, width) {
  return s("g", { class: "core" }, s("rect", { x, y, width, height: BOX + 6, rx: 8 }), inside(text, x, y + 3, width));
}

function node(fact, x, y, width, go) {
  const said = t("fact", legible(fact.subject), legible(fact.predicate), legible(fact.object));
  if (!fact.place) {
    const text = s("text", { x: x + 8, y: y + 20 }, fitting(fact.shown, width - 8, 14));
    return s("g", { class: "literal", role: "img", "aria-label": said }, s("title", {}, said), text);
  }
  const act = () => go(fact.place);
  return s("g", {
    class: "node", role: "button", tabindex: "0", "aria-label": said, onclick: act,
    onkeydown: (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    },
  }, s("title", {}, said), s("rect", { x, y, width, height: BOX, rx: 6 }), inside(fact.shown, x, y, width));
}

function inside(text, x, y, width) {
  return s("text", { x: x + width / 2, y: y + 20, "text-anchor": "middle" }, fitting(text, width - 16, 14));
}

function label(text, x, y, room, anchor) {
  return s("text", { class: "predicate", x, y, "text-anchor": anchor }, fitting(text, room, 12));
}

/** Cut a text to what is so many pixels wide when it is written in bold. */
function fitting(text, pixels, size) {
  ruler.font = `600 ${size}px ${getComputedStyle(document.body).fontFamily}`;
  const whole = legible(text).replace(/\s+/g, " ");
  const characters = Array.from(whole.slice(0, MOST_CHARACTERS));
  const isCut = whole.length > MOST_CHARACTERS;
  if (!isCut && ruler.measureText(whole).width <= pixels) return whole;
  while (characters.length > 1 && ruler.measureText(`${characters.join("")}…`).width > pixels) characters.pop();
  return `${characters.join("")}…`;
}
