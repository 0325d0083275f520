// What goes wrong, in words of the page.

import { Refusal } from "./api.js";
import { legible } from "./dom.js";
import { t } from "./i18n.js";

// By status; what the server says is in English and for programs, and shown only where these do not know better.
const WORDS = { 0: "unreachable", 401: "key_needed", 413: "too_long", 429: "too_many", 503: "busy", 504: "too_slow" };

/** Say what went wrong. What is no refusal is a fault of the page, and stays one. */
export function saying(error) {
  if (!(error instanceof Refusal)) throw error;
  const said = WORDS[error.status] ? t(WORDS[error.status]) : legible(error.message);
  return error.wait ? t("wait", said, Math.ceil(error.wait)) : said;
}
