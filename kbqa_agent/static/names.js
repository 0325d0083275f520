// Completes names of the knowledge base in a text field: a combobox with a listbox (WAI-ARIA 1.2).

import { call } from "./api.js";
import { announce, h, legible, value } from "./dom.js";
import { count, t } from "./i18n.js";

const PAUSE = 150; // milliseconds without a key before names are asked for
const SHOWN = 8;
const TRIES = 3;
const MARKS = "，。、？！；：“”‘’「」『』《》〈〉\"',.?!;:";
const ENDS_A_NAME = new RegExp(`[\\s${MARKS}()（）]`);
// A name and the description that begins after it: 王芳(, 王芳(演.
const DESCRIBED = new RegExp(`[^\\s${MARKS}()（）]+\\s?[(（][^()（）]*$`);
// Words before a name in a question without blanks: 请问红楼, 法国和德.
const PARTICLES = /[的和与跟及是在问对把由比]/;
const HAN = /\p{Script=Han}/u;

/** The ends of a text that may be the beginning of a name, the longest first: 请问红楼 and 红楼, `jaws di` and `di`, 王芳(演. */
export function beginnings(text) {
  const found = [];
  const add = (part) => {
    const enough = HAN.test(part) ? 1 : 2;
    if (part.length >= enough && part.length <= 60 && !found.includes(part)) found.push(part);
  };
  const described = text.match(DESCRIBED)?.[0];
  const last = described ?? text.split(ENDS_A_NAME).pop();
  if (!HAN.test(last)) {
    const spaced = text.split(new RegExp(`[${MARKS}${described ? "" : "()（）"}]`)).pop().trimStart().split(/\s+/);
    for (let n = Math.min(TRIES, spaced.length); n > 1; n -= 1) add(spaced.slice(-n).join(" "));
  }
  add(last);
  let rest = last;
  while (HAN.test(last) && found.length < TRIES && PARTICLES.test(rest)) {
    rest = rest.slice(rest.search(PARTICLES) + 1);
    add(rest);
  }
  return found.slice(0, TRIES);
}

/** Let an input complete names in a list. */
export function completeNames(input, list) {
  let timer = null;
  let running = null;
  let active = -1;
  let shown = [];
  let start = 0;

  const close = () => {
    clearTimeout(timer);
    running?.abort();
    shown = [];
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (index) => {
    active = index;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
    if (index < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    input.setAttribute("aria-activedescendant", list.children[index].id);
    list.children[index].scrollIntoView({ block: "nearest" });
  };

  const take = (index) => {
    const caret = input.selectionStart;
    const name = shown[index];
    input.value = input.value.slice(0, start) + name + input.value.slice(caret);
    input.setSelectionRange(start + name.length, start + name.length);
    close();
    input.focus();
  };

  const show = (names, from) => {
    shown = names;
    start = from;
    list.replaceChildren(...names.map((name, index) => h("li", {
      id: `name-${index}`, role: "option", "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(index); },
    }, value(name))));
    list.hidden = false;
    active = -1;
    input.setAttribute("aria-expanded", "true");
    announce(t("n_names", count(names.length)));
  };

  const look = async () => {
    const caret = input.selectionStart;
    const before = input.value.slice(0, caret);
    running = new AbortController();
    const { signal } = running;
    try {
      const tries = beginnings(before);
      const replies = await Promise.all(tries.map((prefix) =>
        call(`api/entities?prefix=${encodeURIComponent(prefix)}&limit=${SHOWN}`, { signal })));
      if (signal.aborted || document.activeElement !== input) return;
      const best = replies.findIndex((reply) => reply.entities.length);
      const names = best < 0 ? [] : [...new Set(replies[best].entities.map((entity) => legible(entity.name)))];
      if (!names.length || (names.length === 1 && names[0] === tries[best])) close();
      else show(names, caret - tries[best].length);
    } catch {
      close(); // whoever types can go on without; what is wrong with the server is said when they ask
    }
  };

  const wanted = () => {
    clearTimeout(timer);
    running?.abort();
    if (beginnings(input.value.slice(0, input.selectionStart)).length) timer = setTimeout(look, PAUSE);
    else close();
  };

  input.addEventListener("input", (event) => { if (!event.isComposing) wanted(); });
  input.addEventListener("compositionend", wanted);
  input.addEventListener("blur", close);
  input.form.addEventListener("submit", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || !shown.length) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) mark(((active + step + 1 + shown.length + 1) % (shown.length + 1)) - 1);
    else if (event.key === "Escape") close();
    else if ((event.key === "Enter" || event.key === "Tab") && active >= 0) take(active);
    else return;
    event.preventDefault();
  });
}
