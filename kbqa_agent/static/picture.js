// A neighbourhood as SVG: what has the entity as object on the left, what is said of it on the right; on a narrow screen
// all below it. Every node is a button.

import { legible, s } from "./dom.js";
import { t } from "./i18n.js";

const ROW = 42;
const BOX = 30;
const NARROW = 560; // pixels
const SHOWN_ABOUT = 10;
const SHOWN_FACTS = 14;
const WIDE_CHARACTER = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\u{20000}-\u{3ffff}]/u;

/** How many of the triples are drawn. */
export const drawn = (found) => Math.min(found.triples.length, SHOWN_FACTS) + Math.min(found.about.length, SHOWN_ABOUT);

/** Draw {entities, triples, about}; `go` is told where a click leads. */
export function picture(found, width, go) {
  const centre = legible(found.entities[0].name);
  const out = found.triples.slice(0, SHOWN_FACTS).map((fact) => ({ ...fact, shown: fact.object, place: { name: fact.object } }));
  const into = found.about.slice(0, SHOWN_ABOUT).map((fact) => ({ ...fact, shown: fact.subject, place: { entity: fact.subject_id, name: fact.subject } }));
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
  const act = () => go(fact.place);
  const said = t("fact", legible(fact.subject), legible(fact.predicate), legible(fact.object));
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

/** Cut a text to so many pixels, by what characters are wide at most. */
function fitting(text, pixels, size) {
  const characters = Array.from(legible(text).replace(/\s+/g, " "));
  let used = 0;
  for (let i = 0; i < characters.length; i += 1) {
    used += WIDE_CHARACTER.test(characters[i]) ? size : size * 0.62;
    if (used > pixels) return `${characters.slice(0, Math.max(1, i - 1)).join("")}…`;
  }
  return characters.join("");
}
