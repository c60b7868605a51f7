// What is asked of the service, and why it got no answer.

/** What keeps it from reading; the status is 0 if there was no answer. */
export class Failure extends Error {
  constructor(message, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { status, wait });
  }
}

/** Ask with a token, or what a function gives as one; return a good answer, or throw a Failure. */
export async function request(url, token, headers = {}, signal) {
  const shown = typeof token === "function" ? await token() : token;
  if (shown) headers.Authorization = `Bearer ${shown}`;
  const answer = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  const { detail = `The service answers ${answer.status}.` } = await answer.json().catch(() => ({}));
  throw new Failure(detail, answer.status, Number(answer.headers.get("Retry-After")) * 1_000);
}
