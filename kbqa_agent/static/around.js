// A dialog with a picture of what the knowledge base says around an entity; a click on a name goes on from there.

import { call } from "./api.js";
import { $, announce, h, legible } from "./dom.js";
import { count, t } from "./i18n.js";
import { drawn, picture } from "./picture.js";
import { saying } from "./refusals.js";

const FEW = 12;
const MOST = 100; // as the server gives at once
const MARGIN = 2;
let path = [];
let last = null;
let wanted = 0;

/** Show what is around {name}, or around {entity}, its id; with both, others of the name can be chosen. */
export async function showAround(place) {
  path = [];
  last = null;
  $("around-picture").replaceChildren();
  $("around-which").hidden = $("around-more").hidden = true;
  $("around-title").textContent = t("around", legible(place.name ?? "…"));
  if (!$("around").open) $("around").showModal();
  await go(place);
}

async function go(place) {
  const note = $("around-note");
  note.textContent = t("looking");
  wanted += 1;
  const mine = wanted;
  try {
    const found = await reached(place);
    if (mine !== wanted) return;
    path.push({ ...place, which: found.which });
    draw(found);
  } catch (error) {
    if (mine !== wanted) return;
    note.textContent = error.status === 404 && place.name ? t("nothing_around", legible(place.name)) : saying(error);
  }
  $("around-back").disabled = path.length < 2;
}

/** What is around a place, and `which` entities share its name. */
async function reached({ entity, name, which, limit = FEW }) {
  const around = (what, most) => call(`api/triples?${new URLSearchParams({ ...what, limit: most })}`);
  const named = which ?? (name === undefined ? [] : (await around({ name }, 1)).entities);
  const found = await around({ entity: entity ?? named[0].id }, limit);
  const [centre] = found.entities;
  return { ...found, which: named.some(({ id }) => id === centre.id) ? named : [centre, ...named] };
}

function draw(found) {
  last = found;
  const [centre] = found.entities;
  $("around-title").textContent = t("around", legible(centre.name));
  const width = $("around-picture").clientWidth - MARGIN;
  $("around-picture").replaceChildren(picture(found, width, go));
  $("around-note").textContent = t(found.more ? "more_around" : "n_around", count(drawn(found)));
  $("around-more").hidden = !found.more || (path[path.length - 1].limit ?? FEW) >= MOST;
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
  $("around-more").addEventListener("click", () => {
    go({ ...path.pop(), limit: MOST });
    $("around-close").focus();
  });
  $("around-entity").addEventListener("change", () =>
    go({ entity: Number($("around-entity").value), which: path[path.length - 1].which }));
  window.addEventListener("resize", () => { if ($("around").open && last) draw(last); });
}
