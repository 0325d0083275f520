// The conversation: what was asked, what is found meanwhile, and the answers. Turns are kept, and drawn from that.

import { call, events, Refusal } from "./api.js";
import { answerView, candidates, spoken } from "./answer.js";
import { $, announce, h, legible, openable } from "./dom.js";
import { feedbackView } from "./feedback.js";
import { loadHistory, markDialogue } from "./history.js";
import { t } from "./i18n.js";
import { saying } from "./refusals.js";

const SHOWN_SO_FAR = 3;
let dialogue = null;
let turns = [];
let running = null;
let takesFeedback = true;
let opened = 0;

/** Let the form ask. */
export function startChat(feedback) {
  takesFeedback = feedback;
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const said = $("question").value.trim();
    if (!said || running) return;
    $("question").value = "";
    ask(said);
  });
  $("stop").addEventListener("click", () => running?.abort());
  window.addEventListener("popstate", () => openDialogue(addressed(), false));
}

/** The dialogue that the address names; null where it names none. */
export function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || null;
  } catch {
    return null; // a % that stands for nothing
  }
}

/** Open a dialogue, or a new one for null; `isEntry` says whether the browser's Back leads to the one before. */
export async function openDialogue(id, isEntry = true) {
  running?.abort();
  opened += 1;
  const mine = opened;
  turns = [];
  $("notice").textContent = "";
  goOn(id, isEntry);
  if (id) {
    try {
      const found = await call(`api/dialogues/${encodeURIComponent(id)}`);
      if (mine !== opened) return;
      turns = found.turns.map(({ said, answer, feedback }) => ({ said, reply: answer, kept: { ...feedback } }));
    } catch (error) {
      if (mine !== opened) return;
      goOn(null);
      $("notice").textContent = isGone(error) ? t("gone") : saying(error);
    }
  }
  drawChat();
  $("question").focus({ preventScroll: turns.length > 0 });
  $("turns").lastElementChild?.scrollIntoView({ block: "start" });
}

/** The next question belongs to this dialogue, or to a new one for null; the address says so. */
function goOn(id, isEntry = false) {
  const address = id ? `#${encodeURIComponent(id)}` : location.pathname + location.search;
  if (isEntry && id !== dialogue) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  dialogue = id;
  markDialogue(id);
}

/** Whether a dialogue was refused because it was deleted, or is another user's. */
const isGone = (error) => error instanceof Refusal && error.status === 404;

/** Draw all turns, in the language of now. */
export function drawChat() {
  $("welcome").hidden = turns.length > 0;
  $("turns").replaceChildren(...turns.map((turn) => {
    turn.element = h("li", {});
    drawTurn(turn);
    return turn.element;
  }));
}

async function ask(said) {
  const turn = { said, kept: {}, element: h("li", {}) };
  const mine = opened;
  const before = turns[turns.length - 1];
  turns.push(turn);
  if (before?.reply?.choices) drawTurn(before); // a number now picks from what comes next
  $("notice").textContent = "";
  $("turns").append(turn.element);
  $("welcome").hidden = true;
  drawTurn(turn);
  turn.element.scrollIntoView({ block: "start" });
  announce(t("looking"));
  running = new AbortController();
  isRunning(true);
  try {
    await answered(turn, running.signal);
  } catch (error) {
    if (error.name === "AbortError") turn.isStopped = true;
    else turn.error = error;
  }
  running = null;
  isRunning(false);
  if (mine !== opened) return;
  drawTurn(turn);
  if (turn.element.getBoundingClientRect().bottom > window.innerHeight - $("composer").offsetHeight) {
    turn.element.scrollIntoView({ block: "start" });
  }
  announce(turn.reply ? spoken(turn.reply) : trouble(turn));
  loadHistory();
}

async function answered(turn, signal) {
  if (!dialogue) {
    goOn((await call("api/dialogues", { method: "POST", signal })).id);
  }
  for await (const { name, data } of events("api/chat", { question: turn.said, dialogue }, signal)) {
    if (name === "shortlist") turn.shortlist = data;
    else if (name === "piece") turn.text = (turn.text ?? "") + data.text;
    else if (name === "answer") turn.reply = data;
    else if (name === "error") throw new Refusal(500, data.message);
    if (name === "piece" && turn.pieces) turn.pieces.textContent = legible(turn.text);
    else drawTurn(turn);
  }
  if (!turn.reply) throw new Refusal(500, t("broken_off"));
}

function isRunning(yes) {
  const hadFocus = document.activeElement === $("stop");
  $("stop").hidden = !yes;
  $("send").hidden = yes;
  if (hadFocus && !yes) $("question").focus();
}

const trouble = (turn) => (turn.isStopped ? t("stopped") : isGone(turn.error) ? t("gone") : saying(turn.error));

function drawTurn(turn) {
  const shown = turn.reply ? finished(turn) : turn.error || turn.isStopped ? failed(turn) : underWay(turn);
  turn.element.replaceChildren(
    h("h2", { class: "asked" }, h("span", { class: "unseen" }, `${t("you")}: `), openable(turn.said)),
    h("article", { "aria-label": t("answer"), "aria-busy": String(!(turn.reply || turn.error || turn.isStopped)), tabindex: "-1" }, shown),
  );
}

function finished(turn) {
  const isLast = turn === turns[turns.length - 1];
  const pick = (reply) => {
    if (running) return;
    ask(reply);
    turns[turns.length - 1].element.querySelector("article").focus({ preventScroll: true });
  };
  return [answerView(turn.reply, isLast ? pick : null), takesFeedback && feedbackView(turn.reply, turn.kept)].filter(Boolean);
}

function failed(turn) {
  const isNew = isGone(turn.error);
  const again = h("button", {
    type: "button", class: "plain",
    onclick: async () => {
      if (running) return;
      turns = turns.filter((other) => other !== turn);
      turn.element.remove();
      if (isNew) await openDialogue(null);
      ask(turn.said);
      $("question").focus();
    },
  }, t(isNew ? "retry_new" : "retry"));
  return [h("p", { class: turn.error ? "error" : "muted" }, trouble(turn)), again];
}

function underWay(turn) {
  turn.pieces = null;
  const found = turn.shortlist?.candidates ?? [];
  const parts = [h("p", { class: "muted looking" }, t(turn.text === undefined ? "looking" : "writing"))];
  if (turn.text !== undefined) {
    turn.pieces = h("p", { class: "said pieces", dir: "auto" }, legible(turn.text));
    parts.push(turn.pieces);
  }
  if (found.length) parts.push(h("div", { class: "so-far" }, h("p", { class: "muted" }, t("so_far")), candidates(found.slice(0, SHOWN_SO_FAR))));
  return parts;
}
