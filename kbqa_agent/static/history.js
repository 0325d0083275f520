// The list of dialogues: open one, begin one, delete one.

import { call, Refusal } from "./api.js";
import { $, announce, h, legible, value } from "./dom.js";
import { count, currentLanguage, t } from "./i18n.js";
import { saying } from "./refusals.js";

const SURE = 4000; // milliseconds in which a second click deletes

let openOne = null;
let current = null;
let listed = [];

/** Say what opens a dialogue: a function of its id, or null for a new one, and whether the browser's Back leaves it. */
export function startHistory(open) {
  openOne = open;
  $("new-dialogue").addEventListener("click", () => { fold(); open(null); });
  $("history-button").addEventListener("click", () => fold($("history-button").getAttribute("aria-expanded") === "false"));
}

function fold(isOpen = false) {
  $("history-button").setAttribute("aria-expanded", String(isOpen));
}

/** Mark the dialogue that is open. */
export function markDialogue(id) {
  current = id;
  drawHistory();
}

/** Ask the server for the list again, and tell whether it came. */
export async function loadHistory() {
  try {
    listed = (await call("api/dialogues")).dialogues.filter((dialogue) => dialogue.turns > 0);
  } catch (error) {
    $("dialogues").replaceChildren(h("li", { class: "error" }, saying(error)));
    return false;
  }
  drawHistory();
  return true;
}

/** Draw what was listed, in the language of now. */
export function drawHistory() {
  $("dialogues").replaceChildren(...listed.map(row));
}

function row(dialogue) {
  const title = legible(dialogue.title ?? t("untitled"));
  const when = dayOf(new Date(dialogue.updated));
  const turns = dialogue.turns === 1 ? t("one_turn") : t("turns", count(dialogue.turns));
  return h("li", {},
    h("button", {
      type: "button", class: "entry", "aria-current": dialogue.id === current ? "true" : null,
      onclick: () => { fold(); openOne(dialogue.id); },
    }, value(title), h("span", { class: "muted" }, `${turns} · ${when}`)),
    deleter(dialogue, title),
  );
}

function dayOf(time) {
  if (Number.isNaN(time.getTime())) return "";
  const year = time.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(currentLanguage(), { year, month: "short", day: "numeric" }).format(time);
}

function deleter(dialogue, title) {
  const button = h("button", { type: "button", class: "quiet delete", "aria-label": t("delete_named", title), title: t("delete") }, "×");
  let isSure = false;
  button.addEventListener("click", async () => {
    if (!isSure) {
      isSure = true;
      button.textContent = t("delete_sure");
      button.removeAttribute("aria-label");
      setTimeout(() => {
        isSure = false;
        button.textContent = "×";
        button.setAttribute("aria-label", t("delete_named", title));
      }, SURE);
      return;
    }
    button.disabled = true;
    try {
      await call(`api/dialogues/${encodeURIComponent(dialogue.id)}`, { method: "DELETE" });
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 404)) {
        button.disabled = false;
        button.closest("li").append(h("p", { class: "error", role: "alert" }, saying(error)));
        return;
      }
    }
    if (dialogue.id === current) openOne(null, false);
    await loadHistory();
    announce(t("deleted"));
    $("new-dialogue").focus();
  });
  return button;
}
