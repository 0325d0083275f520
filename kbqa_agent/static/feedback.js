// Thumbs, correction and undo under an answer. What was said is kept in `kept`, so that it outlives a new drawing.

import { call, Refusal } from "./api.js";
import { announce, h, s } from "./dom.js";
import { t } from "./i18n.js";
import { saying } from "./refusals.js";

const THUMB = "M2 10h4v11H2zM8 10l4-8c1.7 0 2.7 1.2 2.3 2.9L13.5 9H20c1.3 0 2.2 1.2 1.9 2.5l-1.7 7.7A2.2 2.2 0 0 1 18 21H8z";

/** The buttons under an answer; `kept` is an object of the caller's that remembers what was said. */
export function feedbackView(reply, kept) {
  const box = h("div", { class: "feedback", role: "group", "aria-label": t("rate") });
  if (kept.id) showKept(box, reply, kept);
  else if (kept.draft) showForm(box, reply, kept);
  else showButtons(box, reply, kept);
  return box;
}

function showButtons(box, reply, kept) {
  const rate = (rating) => () => give(box, reply, kept, { rating });
  const correct = () => {
    kept.draft = { correction: "", comment: "" };
    showForm(box, reply, kept);
    box.querySelector("input").focus();
  };
  box.replaceChildren(...(reply.answer === null
    ? [button("i_know", correct), button("unknown", rate("unknown"))]
    : [button("good", rate("good"), thumb()), button("bad", correct, thumb(true)), button("unknown", rate("unknown"))]));
}

function button(name, onclick, picture = null) {
  return h("button", { type: "button", class: "quiet", "data-rating": name, onclick }, picture, t(name));
}

function thumb(isDown = false) {
  return s("svg", { class: isDown ? "thumb down" : "thumb", viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: THUMB }));
}

function showForm(box, reply, kept) {
  const isSilent = reply.answer === null;
  const { draft } = kept;
  const field = (name, attributes) =>
    h("input", { type: "text", name, value: draft[name], oninput: (event) => { draft[name] = event.target.value; }, ...attributes });
  const correction = field("correction", { maxlength: 1000, required: isSilent });
  const comment = field("comment", { maxlength: 2000 });
  const form = h("form", {
    class: "correction", autocomplete: "off",
    onsubmit: (event) => {
      event.preventDefault();
      const said = { rating: "bad" };
      if (correction.value.trim()) said.correction = correction.value.trim();
      if (comment.value.trim()) said.comment = comment.value.trim();
      give(box, reply, kept, said);
    },
    onkeydown: (event) => { if (event.key === "Escape") cancel(); },
  },
  h("label", {}, h("span", {}, t(isSilent ? "correction_needed" : "correction")), correction),
  h("label", {}, h("span", {}, t("comment")), comment),
  h("div", { class: "row" }, h("button", { type: "submit" }, t("submit")), h("button", { type: "button", class: "plain", onclick: () => cancel() }, t("cancel"))));
  const cancel = () => {
    kept.draft = null;
    showButtons(box, reply, kept);
    box.querySelector(`[data-rating=${isSilent ? "i_know" : "bad"}]`).focus();
  };
  box.replaceChildren(form);
}

async function give(box, reply, kept, said) {
  await attempt(box, async () => {
    const given = await call("api/feedback", { method: "POST", body: { answer_id: reply.answer_id, ...said } });
    Object.assign(kept, { id: given.id, rating: said.rating, draft: null });
    announce(t("kept"));
    showKept(box, reply, kept);
    box.querySelector("button").focus();
  });
}

function showKept(box, reply, kept) {
  const undo = () => attempt(box, async () => {
    const isNew = await takenBack(kept.id);
    kept.id = null;
    showButtons(box, reply, kept);
    if (isNew) announce(t("undone"));
    else box.append(h("p", { class: "muted", role: "status" }, t("undone_before")));
    box.querySelector("button").focus();
  });
  box.replaceChildren(h("span", { class: "kept" }, `${t(kept.rating)} ✓ `, h("span", { class: "muted" }, t("kept"))), button("undo", undo));
}

/** Undo a piece of feedback; whether it still counted, as it may have been undone elsewhere meanwhile. */
async function takenBack(id) {
  try {
    await call(`api/feedback/${id}`, { method: "DELETE" });
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 409) return false;
    throw error;
  }
}

async function attempt(box, work) {
  const buttons = [...box.querySelectorAll("button")];
  box.querySelector(".error")?.remove();
  for (const one of buttons) one.disabled = true;
  try {
    await work();
  } catch (error) {
    for (const one of buttons) one.disabled = false;
    box.append(h("p", { class: "error", role: "alert" }, saying(error)));
  }
}
