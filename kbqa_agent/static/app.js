// Starts the page: what the server is, its views, its key, its language, light and dark.

import { call, hasKey, onKeyNeeded, useKey } from "./api.js";
import { startAround } from "./around.js";
import { addressed, drawChat, openDialogue, startChat } from "./chat.js";
import { drawCompare, openCompare, startCompare } from "./compare.js";
import { $ } from "./dom.js";
import { drawHistory, loadHistory, startHistory } from "./history.js";
import { count, currentLanguage, switchLanguage, t, translatePage } from "./i18n.js";
import { completeNames } from "./names.js";
import { saying } from "./refusals.js";

const VIEWS = ["ask", "compare"];
let info = null;

function drawWords() {
  $("language").textContent = currentLanguage() === "en" ? "中文" : "English";
  $("language").lang = currentLanguage() === "en" ? "zh-CN" : "en";
  $("theme").textContent = t(isDark() ? "light" : "dark");
  if (!info) return;
  $("about").textContent = t("about", count(info.index.triples));
  $("facts").textContent = t("facts", count(info.index.triples), count(info.index.entities), info.version);
}

const system = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

function startTheme() {
  system.addEventListener("change", drawWords);
  $("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("kbqa-theme", theme);
    } catch {
      // It then lasts until the page is loaded again.
    }
    drawWords();
  });
}

function startLanguage() {
  $("language").addEventListener("click", () => {
    switchLanguage();
    drawWords();
    drawChat();
    drawHistory();
    drawCompare();
  });
}

function startViews() {
  $("tabs").hidden = false;
  $("ask").setAttribute("role", "tabpanel");
  $("ask").setAttribute("aria-labelledby", "tab-ask");
  const show = (name) => {
    for (const view of VIEWS) {
      $(view).hidden = view !== name;
      $(`tab-${view}`).setAttribute("aria-selected", String(view === name));
      $(`tab-${view}`).tabIndex = view === name ? 0 : -1;
    }
    if (name === "compare") openCompare();
  };
  for (const view of VIEWS) {
    $(`tab-${view}`).addEventListener("click", () => show(view));
    $(`tab-${view}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length];
      show(next);
      $(`tab-${next}`).focus();
    });
  }
}

/** Ask for a key, and promise whether there is one now. */
function askForKey(wasRefused) {
  const dialog = $("key-dialog");
  $("key-error").textContent = wasRefused ? t("key_wrong") : "";
  $("key").value = "";
  $("key-forget").hidden = !hasKey();
  return new Promise((resolve) => {
    const settle = (isGiven) => {
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      resolve(isGiven);
    };
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      const given = $("key").value.trim();
      if (!given) return;
      useKey(given);
      settle(true);
    };
    $("key-forget").onclick = () => {
      useKey(null);
      settle(false);
      location.reload();
    };
    $("key-cancel").onclick = () => settle(false);
    dialog.onclose = () => settle(false);
    dialog.showModal();
  });
}

async function start() {
  translatePage();
  drawWords();
  startTheme();
  startLanguage();
  startAround();
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address names the dialogue
    $("question").focus();
  });
  startHistory(openDialogue);
  completeNames($("question"), $("names"));
  onKeyNeeded(askForKey);
  $("key-button").addEventListener("click", async () => {
    if (await askForKey(false)) location.reload();
  });
  try {
    info = await call("api/info");
  } catch (error) {
    $("facts").textContent = saying(error);
  }
  startChat(info?.feedback ?? true);
  if (!info) return;
  drawWords();
  $("key-button").hidden = !info.key_needed;
  if (info.systems.length > 1) {
    startViews();
    startCompare(info.systems);
  }
  const isLet = await loadHistory();
  const asked = addressed();
  if (asked && isLet) await openDialogue(asked, false);
  else $("question").focus();
}

start();
