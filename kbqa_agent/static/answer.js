// One answer as it is shown: what is said, how sure that is, what it rests on, and what else was likely.

import { showAround } from "./around.js";
import { bar, h, legible, openable, value } from "./dom.js";
import { percent, t } from "./i18n.js";

const SHOWN = 5;
const WORTH_SHOWING = 0.005; // as kbqa_agent/answer_forms.py
const SHOWN_EVIDENCE = 4;

/** What is said in one line, for a screen reader. */
export function spoken(reply) {
  if (reply.abstained) return t(reply.abstained);
  return t("said", legible(reply.values.join("; ") || reply.answer), percent(reply.confidence));
}

/** Show an answer. `pick` is told the reply that chooses one of several homonyms; without it they are a list. */
export function answerView(reply, pick = null) {
  const told = reply.candidates.find((candidate) => candidate.answer === reply.answer);
  return h("div", { class: "answer" },
    reply.understood && h("p", { class: "muted understood" }, t("understood", legible(reply.understood))),
    headline(reply, told),
    reply.partial && h("p", { class: "doubt" }, t("partial")),
    reply.generator && h("p", { class: "doubt" }, t("generatorLate")),
    reply.choices && reply.abstained === "ambiguous" && choices(reply.choices, pick),
    reply.sentence && h("p", { class: "muted sentence", lang: /\p{Script=Han}/u.test(reply.sentence) ? "zh" : "en" }, legible(reply.sentence)),
    reply.answer !== null && told && evidence(reply, told),
    reply.abstained === "ambiguous" ? candidates(amongHomonyms(reply), t("shares")) : candidates(reply.candidates),
  );
}

function headline(reply, told) {
  if (reply.abstained) return h("p", { class: "silence" }, t(reply.abstained));
  const values = reply.values.length ? reply.values : [reply.answer];
  const said = values.length > 1
    ? h("ul", { class: "values" }, values.map((text) => h("li", {}, openable(text))))
    : h("p", { class: "said" }, openable(values[0]));
  const doubt = reply.supported ? null : h("p", { class: "doubt" }, t(told ? "corrected" : "own_words"));
  const sure = h("p", { class: "sure" }, bar(reply.confidence), " ", t("sure", percent(reply.confidence)));
  return h("div", { class: "headline" }, said, told || reply.supported ? sure : null, doubt);
}

function choices(found, pick) {
  const names = found.map((choice) => choice.entity);
  const rows = found.map((choice, index) => {
    // A name that others begin with picks none of them; its number does.
    const isAlone = names.filter((name) => name.startsWith(choice.entity)).length === 1;
    const shown = [`${index + 1}. `, value(choice.entity), isAlone ? null : h("span", { class: "muted" }, " · ", value(choice.answer))];
    if (!pick) return h("li", {}, shown);
    const reply = isAlone ? choice.entity : t("pick_number", index + 1);
    return h("li", {}, h("button", { type: "button", class: "plain", onclick: () => pick(reply) }, shown));
  });
  return h("ul", { class: "choices", "aria-label": t("choices") }, rows);
}

/** What all values that are meant rest on; a triple that several rest on is there once. */
function evidence(reply, told) {
  const meant = reply.candidates.filter((candidate) => candidate === told || reply.values.includes(candidate.answer));
  const triples = new Map(meant.flatMap((candidate) => candidate.evidence).map((triple) => [triple.id, triple]));
  if (!triples.size) return null;
  return h("section", { class: "evidence" }, h("h3", {}, t("evidence")), cards([...triples.values()]));
}

function cards(triples) {
  if (!triples.length) return h("p", { class: "muted" }, t("no_evidence"));
  const shown = triples.slice(0, SHOWN_EVIDENCE).map(card);
  const rest = triples.slice(SHOWN_EVIDENCE);
  const list = h("ul", { class: "cards" }, shown);
  if (rest.length) {
    const more = h("button", {
      type: "button", class: "link", onclick: () => { more.parentElement.remove(); list.append(...rest.map(card)); },
    }, `${t("show_all")} (${triples.length})`);
    list.append(h("li", { class: "bare" }, more));
  }
  return list;
}

function card(triple) {
  const extra = (triple.extra ?? []).flatMap((columns) => Object.entries(columns)).filter(([, text]) => text);
  return h("li", { class: "card" },
    h("button", {
      type: "button", class: "link subject", "aria-haspopup": "dialog",
      title: t("around_label", legible(triple.subject)),
      onclick: () => showAround({ name: triple.subject, entity: triple.subject_id }),
    }, value(triple.subject)),
    h("span", { class: "predicate" }, value(triple.predicate)),
    h("span", { class: "object" }, openable(triple.object)),
    extra.length > 0 && h("dl", { class: "extra" }, extra.flatMap(([name, text]) => [h("dt", {}, value(name)), h("dd", {}, openable(text))])),
  );
}

/** The candidates with what they have of the probability of all entities of that name together. */
function amongHomonyms(reply) {
  const answers = (reply.choices ?? []).map((choice) => choice.answer);
  const theirs = reply.candidates.filter((candidate) => answers.includes(candidate.answer));
  const total = theirs.reduce((sum, candidate) => sum + candidate.score, 0);
  return total > 0 ? reply.candidates.map((candidate) => ({ ...candidate, score: candidate.score / total })) : reply.candidates;
}

/** The ranked candidates with their bars; each opens to the triples that it rests on. */
export function candidates(found, heading = t("candidates")) {
  if (!found.length) return null;
  const shown = found.filter((candidate, rank) => rank < SHOWN && (rank === 0 || candidate.score >= WORTH_SHOWING));
  const rest = found.slice(shown.length);
  return h("section", { class: "candidates" },
    h("h3", {}, heading),
    h("ol", {}, shown.map(candidateRow)),
    rest.length > 0 && h("details", { class: "rest" },
      h("summary", {}, t("more_candidates", rest.length)),
      h("ol", { start: shown.length + 1 }, rest.map(candidateRow))),
  );
}

function candidateRow(candidate) {
  return h("li", {}, h("details", {},
    h("summary", {}, h("span", { class: "named" }, value(candidate.answer)), bar(candidate.score), h("span", { class: "share" }, percent(candidate.score))),
    cards(candidate.evidence)));
}
