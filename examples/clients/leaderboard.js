// Boards of Laurels for a game in JavaScript: in browsers, and in Node 20 or later. No other file is needed.
//
// On the game's server, with a key that may submit and make tokens:
//
//   const boards = new Leaderboard("https://boards.example", () => process.env.LAURELS_KEY);
//   await boards.submit("kart", "silverhand", 2077, { metadata: { car: "pipe" } });
//   const token = await boards.playerToken("silverhand", ["kart"]);      // for a player who has signed in
//
// In a player's browser, which gets that token from the game's server and submits under its own name alone:
//
//   const boards = new Leaderboard("https://boards.example", async () => (await fetch("/token")).text());
//   const { score, rank, changed } = await boards.submit("kart", "silverhand", 2077);
//   for await (const rows of boards.watch("kart", { count: 10, signal })) show(rows);
//
// The service must allow the page's origin: laurels serve --cors-origin https://game.example. Never put a key in a page.

const TRIES = 5;
const MILLISECONDS = 10_000;
const SILENCE = 40_000; // who watches hears something every 15 seconds; without a word for so long the connection is lost
const AGAIN = [408, 429, 500, 502, 503, 504];

/** The service answered that it will not; `message` says why. */
export class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    Object.assign(this, { name: "Refused", status, retryAfter });
  }
}

export class Leaderboard {
  #server;
  #credential;
  #shown = null;

  /** `credential` returns a key or a token, or a promise of one; it is asked again when one is not accepted any more. */
  constructor(server, credential = () => "") {
    this.#server = server.replace(/\/+$/, "");
    this.#credential = credential;
  }

  /** Submit a score, once, however often it has to be sent; return `{score, rank, previous, changed}`. To send one again
   *  after a restart of the program, keep its `key`, and give it here again. */
  submit(board, name, score, { metadata, key = randomKey() } = {}) {
    const headers = { "Idempotency-Key": key, Prefer: "return=representation" };
    return this.#ask("POST", `/${encodeURIComponent(board)}/${encodeURIComponent(name)}`, { score, metadata }, headers);
  }

  /** Return `{score, rank}`; ranks begin at 0, and the rank is null if the name is not on the board. */
  standing(board, name) {
    return this.#ask("GET", `/${encodeURIComponent(board)}/${encodeURIComponent(name)}`);
  }

  /** Return the first entries with their ranks; `{window: "daily"}` has those of today. */
  top(board, count = 20, options = {}) {
    return this.#entries(board, { startRank: 0, endRank: count, include: "rank", ...options });
  }

  /** Return a name with so many neighbours on each side; empty if it is not on the board. */
  around(board, name, span = 5, options = {}) {
    return this.#entries(board, { around: name, span, include: "rank", ...options });
  }

  /** Return all entries, page by page: none twice, and none left out, though others submit meanwhile. */
  async *entries(board, atOnce = 1000) {
    let query = { startRank: 0, endRank: atOnce, include: "rank,cursor" };
    while (query) {
      const page = await this.#ask("GET", `/${encodeURIComponent(board)}?${new URLSearchParams(query)}`);
      yield* page.leaderboard;
      query = page.next && { cursor: page.next, include: "rank,cursor" };
    }
  }

  /** Return the first entries now, and again after each change, until the caller leaves the loop or aborts `signal`. */
  async *watch(board, { count = 10, signal } = {}) {
    const path = `/-/boards/${encodeURIComponent(board)}/live?startRank=0&endRank=${count}`;
    for (let failures = 0; !signal?.aborted;) {
      const silence = new AbortController();
      const stop = () => silence.abort();
      signal?.addEventListener("abort", stop);
      try {
        const response = await this.#open("GET", path, undefined, {}, silence.signal);
        for await (const rows of readEvents(response.body, stop)) {
          failures = 0;
          yield rows;
        }
        failures += 1;
        await sleep(1_000); // the service ended, and comes again
      } catch (error) {
        if (signal?.aborted) return;
        failures += 1;
        await sleep(this.#untilAgain(error, failures, failures + TRIES));
      } finally {
        signal?.removeEventListener("abort", stop);
        stop();
      }
    }
  }

  /** Return a token with which a player's program submits under this name alone. It takes a key: on a server only. */
  async playerToken(name, boards, seconds = 3600) {
    return (await this.#ask("POST", "/-/tokens", { name, boards, seconds })).token;
  }

  async #entries(board, query) {
    return (await this.#ask("GET", `/${encodeURIComponent(board)}?${new URLSearchParams(query)}`)).leaderboard;
  }

  async #ask(method, path, body, headers = {}) {
    for (let failures = 1; ; failures++) {
      try {
        const response = await this.#open(method, path, body, headers, AbortSignal.timeout(MILLISECONDS));
        return await response.json();
      } catch (error) {
        await sleep(this.#untilAgain(error, failures, TRIES));
      }
    }
  }

  async #open(method, path, body, headers, signal) {
    this.#shown ??= await this.#credential();
    const request = { method, headers: { ...headers }, signal, cache: "no-store" };
    if (this.#shown) request.headers.Authorization = `Bearer ${this.#shown}`;
    if (body) {
      request.headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    const response = await fetch(this.#server + path, request);
    if (response.ok) return response;
    const { detail } = await response.json().catch(() => ({ detail: response.statusText }));
    throw new Refused(response.status, detail, response.headers.get("Retry-After"));
  }

  // In how many milliseconds to try again; throws what happened if that would not help, or if it was the last time.
  #untilAgain(error, failures, most) {
    if (error.status === 401 && failures === 1 && this.#shown) {
      this.#shown = null; // the token may have expired: ask for another, once
      return 0;
    }
    if (failures >= most || (error.status && !AGAIN.includes(error.status))) throw error;
    return error.retryAfter ? error.retryAfter * 1000 : Math.min(2 ** (failures - 2), 30) * 1000;
  }
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Not randomUUID, which pages without TLS do not have
const randomKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join("-");

// The rows of a board after each event of a stream: first all of them, then what has changed.
async function* readEvents(body, stop) {
  let [rest, event, rows, timer] = ["", "", new Map(), 0];
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      timer = setTimeout(stop, SILENCE);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("event: ")) event = line.slice(7);
        if (!line.startsWith("data: ") || !["page", "change"].includes(event)) continue;
        const { leaderboard, set = leaderboard, gone = [] } = JSON.parse(line.slice(6));
        if (event === "page") rows = new Map();
        gone.forEach((name) => rows.delete(name));
        set.forEach((row) => rows.set(row.name, row));
        yield [...rows.values()].sort((one, other) => one.place - other.place);
      }
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}
