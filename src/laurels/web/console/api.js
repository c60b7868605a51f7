// Who asks, and how the service is asked. The key is in the memory of this module alone, and goes with its tab.

const BASE = new URL("../../", import.meta.url);

let key = "";

/** An answer that is an error: what its problem document says (RFC 9457). */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || `The service answered with ${status}.`);
    Object.assign(this, { title: "", ...document, status });
  }
}

/** Where something of the service is, of parts that are escaped: a name may have any character. */
export function path(...parts) {
  return parts.map(encodeURIComponent).join("/");
}

/** A query of the values that are given: null and "" are left out. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

let lost = () => {};

/** Call this when a key is accepted no more. */
export function whenLost(act) {
  lost = act;
}

/** Send a request, its body as JSON if it is not a text already; return the answer, or raise Problem. */
async function send(method, target, { body, headers = {} } = {}) {
  const all = { ...headers };
  if (key) all.Authorization = `Bearer ${key}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  const options = { method, headers: all, body: typeof body === "object" ? JSON.stringify(body) : body };
  let answer;
  try {
    answer = await fetch(new URL(target, BASE), { ...options, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Problem(0, { detail: "The service cannot be reached. Nothing is known of what became of it." });
  }
  if (answer.ok) return answer;
  const problem = new Problem(answer.status, await answer.json().catch(() => ({ title: answer.statusText })));
  if (answer.status === 401 && key) lost(problem);
  throw problem;
}

/** Return the JSON of an answer; null if it has none. */
export async function ask(method, target, options) {
  const text = await (await send(method, target, options)).text();
  return text ? JSON.parse(text) : null;
}

/** Return the JSON of an answer and its tag. */
export async function askTagged(method, target, options) {
  const answer = await send(method, target, options);
  return { found: await answer.json(), tag: answer.headers.get("ETag") };
}

/** Return the text of an answer. */
export async function askText(target, accept) {
  return (await send("GET", target, { headers: { Accept: accept } })).text();
}

/** Who asks, and what they may do: on which boards is said by patterns, in which * is any characters. */
export class Session {
  constructor({ who, scopes, boards, within = ["*"], expires }) {
    Object.assign(this, { who, expires });
    this.scopes = scopes;
    this.patterns = boards;
    this.boards = boards.map(pattern);
    this.within = within.map(pattern);
  }

  /** Whether they have a right, on a board or on any. */
  may(scope, board) {
    const has = this.scopes.includes("admin") || this.scopes.includes(scope);
    const on = (patterns) => patterns.some((each) => each.test(board));
    return has && (board === undefined || (on(this.boards) && on(this.within)));
  }
}

function pattern(text) {
  const parts = text.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^]*")}$`, "u");
}

/** Show a key from now on, and return who that is; raises Problem, and then none is shown. */
export async function signIn(text) {
  if (!/^[!-~]+$/.test(text.trim())) throw new Error("This is no key: it has characters that none has.");
  key = text.trim();
  try {
    return new Session(await ask("GET", "-/whoami"));
  } catch (problem) {
    key = "";
    throw problem;
  }
}

export function signOut() {
  key = "";
}
