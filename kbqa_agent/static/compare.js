// Two systems side by side, blind if wanted; a vote, and what all votes come to.

import { call } from "./api.js";
import { answerView, spoken } from "./answer.js";
import { $, announce, bar, h, value } from "./dom.js";
import { count, percent, t } from "./i18n.js";
import { saying } from "./refusals.js";

const ENOUGH_VOTES = 5; // fewer that are no tie say nothing about which system is better
let shown = null;
let rates = null;
let error = null;
let isBusy = false;

/** Let the form compare these systems. */
export function startCompare(systems) {
  for (const [select, chosen] of [[$("first-system"), 0], [$("second-system"), 1]]) {
    select.replaceChildren(...systems.map((system, i) => h("option", { value: system.name, selected: i === chosen }, system.name)));
    select.addEventListener("change", () => keepApart(select, systems));
  }
  $("comparison").addEventListener("submit", (event) => {
    event.preventDefault();
    compare();
  });
}

/** Ask for the votes again, and draw all of it. */
export async function openCompare() {
  drawCompare();
  try {
    rates = (await call("api/votes")).pairs;
  } catch (refusal) {
    error = refusal;
  }
  drawCompare();
}

/** The two may not be the same system: the other one gives way. */
function keepApart(changed, systems) {
  const other = changed === $("first-system") ? $("second-system") : $("first-system");
  if (other.value === changed.value) other.value = systems.find((system) => system.name !== changed.value).name;
}

async function compare() {
  const question = $("compared-question").value.trim();
  if (!question || isBusy) return;
  isBusy = true;
  shown = error = null;
  drawCompare();
  announce(t("looking"));
  try {
    const body = { question, systems: [$("first-system").value, $("second-system").value], blind: $("blind").checked };
    shown = { ...(await call("api/compare", { method: "POST", body })), vote: null };
  } catch (refusal) {
    error = refusal;
  }
  isBusy = false;
  drawCompare();
  announce(shown ? `${t("compared")} ${t("left")}: ${spoken(shown.left)} ${t("right")}: ${spoken(shown.right)}` : saying(error));
}

async function vote(winner) {
  const judged = shown; // a new comparison may begin while the vote is on its way
  error = null;
  for (const button of $("vote").querySelectorAll("button")) button.disabled = true;
  try {
    judged.vote = await call("api/votes", { method: "POST", body: { comparison_id: judged.comparison_id, winner } });
    judged.names = { left: judged.vote.left, right: judged.vote.right };
    announce(t("voted", judged.names.left, judged.names.right));
    await openCompare();
    if (judged === shown) $("compared-question").focus();
  } catch (refusal) {
    if (judged === shown) error = refusal;
    drawCompare();
  }
}

/** Draw all of it, in the language of now. */
export function drawCompare() {
  $("sides").replaceChildren(...(isBusy ? [h("p", { class: "muted looking" }, t("looking"))] : shown ? ["left", "right"].map(side) : []));
  $("vote").replaceChildren(...votes(), ...(error ? [h("p", { class: "error", role: "alert" }, saying(error))] : []));
  $("rates").replaceChildren(rates?.length ? table() : h("p", { class: "muted" }, t("no_votes")));
}

function side(name) {
  const won = shown.vote?.winner === name;
  return h("article", { class: won ? "side won" : "side", "aria-label": t(name) },
    h("h2", {}, t(name), shown.names && h("span", { class: "muted" }, " · ", value(shown.names[name]))),
    answerView(shown[name]));
}

function votes() {
  if (!shown) return [];
  if (shown.vote) return [h("p", { class: "kept" }, t("voted", shown.names.left, shown.names.right))];
  const isSame = shown.left.answer === shown.right.answer && shown.left.abstained === shown.right.abstained;
  return [
    isSame && h("p", { class: "muted" }, t("same_answer")),
    ...[["left_better", "left"], ["tie", "tie"], ["right_better", "right"]].map(([word, winner]) =>
      h("button", { type: "button", class: "plain", "data-winner": winner, onclick: () => vote(winner) }, t(word))),
  ].filter(Boolean);
}

function table() {
  const heads = ["systems", "wins", "ties", "win_rate"].map((name) => h("th", { scope: "col" }, t(name)));
  return h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rates.map((pair) => h("tr", {},
    h("th", { scope: "row" }, value(pair.systems[0]), " : ", value(pair.systems[1])),
    h("td", {}, pair.wins.map(count).join(" : ")),
    h("td", {}, count(pair.ties)),
    h("td", {}, winRate(pair)),
  ))));
}

function winRate(pair) {
  const decided = pair.wins[0] + pair.wins[1];
  if (decided < ENOUGH_VOTES) return t("few_votes", count(decided), count(ENOUGH_VOTES));
  return [bar(pair.win_rate), " ", t("interval", percent(pair.win_rate), ...pair.interval.map(percent))];
}
