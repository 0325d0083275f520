// A dialog with a picture of what the knowledge base says around an entity; a click on a name goes on from there.

import { call } from "./api.js";
import { $, announce, h, legible } from "./dom.js";
import { count, t } from "./i18n.js";
import { drawn, picture } from "./picture.js";
import { saying } from "./refusals.js";

const LIMIT = 24;
const MARGIN = 2;
let path = [];
let last = null;

/** Show what is around {name} or {entity: id}; with `triple`, of several entities of the name the one that it is about. */
export async function showAround(place) {
  path = [];
  $("around-picture").replaceChildren();
  $("around-title").textContent = t("around", place.name ?? "…");
  if (!$("around").open) $("around").showModal();
  await go(place);
}

async function go(place) {
  const note = $("around-note");
  note.textContent = t("looking");
  try {
    const found = await reached(place);
    path.push(place);
    draw(found);
  } catch (error) {
    note.textContent = error.status === 404 && place.name ? t("nothing_around", legible(place.name)) : saying(error);
  }
  $("around-back").disabled = path.length < 2;
}

async function reached(place) {
  const query = (what) => call(`api/triples?${new URLSearchParams({ ...what, limit: LIMIT })}`);
  const found = await query(place.entity === undefined ? { name: place.name } : { entity: place.entity });
  if (found.entities.length < 2) return { ...found, which: found.entities };
  const meant = found.triples.find((fact) => fact.id === place.triple)?.subject_id ?? found.entities[0].id;
  return { ...(await query({ entity: meant })), which: found.entities };
}

function draw(found) {
  last = found;
  const [centre] = found.entities;
  $("around-title").textContent = t("around", legible(centre.name));
  const width = $("around-picture").clientWidth - MARGIN;
  $("around-picture").replaceChildren(picture(found, width, go));
  const shown = drawn(found);
  const isCut = found.more || shown < found.triples.length + found.about.length;
  $("around-note").textContent = t(isCut ? "more_around" : "n_around", count(shown));
  announce(`${t("around", legible(centre.name))}. ${$("around-note").textContent}`);
  $("around-which").hidden = found.which.length < 2;
  $("around-entity").replaceChildren(...found.which.map((entity, index) =>
    h("option", { value: entity.id, selected: entity.id === centre.id }, `${index + 1}. ${legible(entity.name)}`)));
}

/** Let the dialog's buttons work. */
export function startAround() {
  $("around-close").addEventListener("click", () => $("around").close());
  $("around-back").addEventListener("click", () => {
    path.pop();
    go(path.pop());
    $("around-close").focus();
  });
  $("around-entity").addEventListener("change", async () => {
    const { which } = last;
    await go({ entity: Number($("around-entity").value) });
    draw({ ...last, which });
  });
  window.addEventListener("resize", () => { if ($("around").open && last) draw(last); });
}
