// What is asked of the service, and why it got no answer.

/** What keeps it from reading; the status is 0 if there was no answer. */
export class Failure extends Error {
  constructor(message, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { status, wait });
  }
}

/** Whether a text may be a token or a key: no header has others. */
export const isToken = (text) => /^[!-~]+$/.test(text);

/** Ask with a token, or what a function gives as one; return a good answer, or throw a Failure. */
export async function request(url, token, headers = {}, signal) {
  const shown = typeof token === "function" ? await token() : token;
  if (shown && !isToken(shown)) throw new Failure("This is no token: it has characters that none has.", 401);
  if (shown) headers.Authorization = `Bearer ${shown}`;
  const answer = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  const { detail = `The service answers ${answer.status}.` } = await answer.json().catch(() => ({}));
  throw new Failure(detail, answer.status, Number(answer.headers.get("Retry-After")) * 1_000);
}
