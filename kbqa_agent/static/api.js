// Requests to the server that this page came from: JSON, and events as they come.

const KEPT = "kbqa-key";

/** What the server refuses, or that it cannot be reached (status 0); `wait` is in seconds, if it says when to come again. */
export class Refusal extends Error {
  constructor(status, message, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

let key = kept();
let askForKey = async () => false;
let asking = null;

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

export const hasKey = () => Boolean(key);

/** Use a key from now on, in this tab alone; null forgets it. */
export function useKey(given) {
  key = given;
  try {
    if (given) sessionStorage.setItem(KEPT, given);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // It is then known until the page is loaded again.
  }
}

/** Say how a key is asked for: a function that is told whether one was refused, and promises whether there is one. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

async function request(path, method, body, signal) {
  for (;;) {
    const sent = key;
    const headers = sent ? { Authorization: `Bearer ${sent}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await reach(path, { method, headers, body: body && JSON.stringify(body), signal });
    if (response.ok) return response;
    if (response.status !== 401) throw await refusalOf(response);
    if (sent !== key) continue;
    asking ??= askForKey(Boolean(sent)).finally(() => { asking = null; });
    if (!(await asking)) throw await refusalOf(response);
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store", redirect: "error", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "");
  }
}

async function refusalOf(response) {
  const wait = Number.parseFloat(response.headers.get("Retry-After")) || null;
  try {
    return new Refusal(response.status, String((await response.json()).error.message), wait);
  } catch {
    return new Refusal(response.status, `HTTP ${response.status}`, wait);
  }
}

/** Send a request and read the JSON that comes back; null where nothing does. Throws a Refusal. */
export async function call(path, { method = "GET", body, signal } = {}) {
  const response = await request(path, method, body, signal);
  return response.status === 204 ? null : response.json();
}

/** Send a question and give each event {name, data} as it comes. Throws a Refusal. */
export async function* events(path, body, signal) {
  const response = await request(path, "POST", body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error) => {
        throw error.name === "AbortError" ? error : new Refusal(0, "");
      });
      if (done) return;
      text += value.replaceAll("\r\n", "\n");
      const blocks = text.split("\n\n");
      text = blocks.pop();
      yield* blocks.map(eventOf).filter((event) => event.data !== null);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(block) {
  const found = { name: "message", data: [] };
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) found.name = line.slice(6).trim();
    else if (line.startsWith("data:")) found.data.push(line.slice(5).replace(/^ /, ""));
  }
  return { name: found.name, data: found.data.length ? JSON.parse(found.data.join("\n")) : null };
}
