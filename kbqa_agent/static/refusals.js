// What goes wrong, in words of the page.

import { Refusal } from "./api.js";
import { legible } from "./dom.js";
import { t } from "./i18n.js";

/** Say what went wrong. What is no refusal is a fault of the page, and stays one. */
export function saying(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.status === 0) return t("unreachable");
  return error.wait ? t("wait", legible(error.message), Math.ceil(error.wait)) : legible(error.message);
}
