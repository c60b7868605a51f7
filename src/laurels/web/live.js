// The feed of a board, as rows: one connection for all views of a board that a page watches, however many there are.
// It reads Server-Sent Events by fetch, because EventSource can send no key. If the service has none, or something
// between keeps them back, it reads the board again and again; if Momento's Topics tell of changes, when they do.

const SILENCE = 40_000; // the service says something every 15 seconds,
const FIRST = 6_000; // and begins at once
const SLOWEST = 30_000; // how long it waits at most before it tries again, but for what Retry-After says
const AWAY = 20_000; // how long it goes on in a tab that nobody sees
const POLL = 2_000;
const POLLS = 30; // how often it reads before it tries the stream again
const CUTS = 3; // how many streams without an event show that something keeps them back
const STREAMS = 4; // of one page to one service: browsers open six connections at most
const VIEWS = 16; // of one stream
const connections = new Set();

/** Watch one view of a board; return what `close()` ends. `query` is that of a read: "startRank=0&endRank=20",
 *  "around=v&limit=9" or "name=v", and "window=daily" beside it. `token` is a key, a player's token, or a function that
 *  returns one, which is asked before each connection.
 *  `onRows(rows, total, isWhole, period)` gets the rows by place, at first and after each change; `isWhole` if they are
 *  not those before with what has changed. `onStanding(standing)` gets what is said of one name.
 *  `onState(state, error)` says "live", "lost" (it tries again by itself) or "refused" (which trying again is unlikely
 *  to mend); the message of the error says why. */
export function watch({ server, board, query, token = "", onRows, onStanding, onState = () => {} }) {
  const fits = (each) => each.server === `${server}` && each.board === board && each.token === token;
  const found = [...connections].find((each) => fits(each) && each.views.length < VIEWS);
  return (found ?? new Connection(server, board, token)).add({ query, onRows, onStanding, onState, rows: new Map() });
}

addEventListener("online", () => connections.forEach((each) => each.wake?.()));
let leaving;
addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(() => connections.forEach((each) => each.pause()), AWAY);
});

/** What keeps it from reading; the status is 0 if there was no answer. */
class Failure extends Error {
  constructor(message, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { status, wait });
  }
}

class Connection {
  views = [];
  retry = 1_000;

  constructor(server, board, token) {
    Object.assign(this, { server: `${server}`, board, token });
    this.path = encodeURIComponent(board);
    this.url = new URL(`-/boards/${this.path}/live`, server);
  }

  add(view) {
    connections.add(this);
    this.views.push(view);
    this.restart();
    return { close: () => this.remove(view) };
  }

  remove(view) {
    this.views = this.views.filter((each) => each !== view);
    if (this.views.length) return this.restart();
    this.stop();
    connections.delete(this);
  }

  restart() { // once for all views that are added or closed at a time
    this.stop();
    Object.assign(this, { lastId: "", failures: 0, cuts: 0, polls: 0 });
    this.timer = setTimeout(() => this.run(), 0);
  }

  stop() {
    this.running = null;
    this.pause();
    clearTimeout(this.timer);
  }

  pause() { // goes on as soon as somebody looks
    this.isAway = true;
    this.abort?.abort();
    this.wake?.();
  }

  sleep(milliseconds) {
    clearTimeout(this.timer);
    return new Promise((done) => { this.wake = done; this.timer = setTimeout(done, milliseconds); });
  }

  async run() {
    const running = (this.running = {});
    for (;;) {
      if (document.hidden) await new Promise((seen) => addEventListener("visibilitychange", seen, { once: true }));
      if (this.running !== running) return;
      this.isAway = false;
      const abort = (this.abort = new AbortController());
      const trying = this.polls > 0 ? this.poll() : this.stream();
      const error = await trying.catch((error) => this.explain(error));
      abort.abort();
      if (this.running !== running) return;
      this.isStreaming = false;
      const wait = error && !this.isAway ? this.fail(error) : 0;
      if (wait === Infinity) return;
      await this.sleep(wait);
    }
  }

  /** Say what has failed; return how long to wait. */
  fail(error) {
    const { status } = error;
    const isFinal = status === 401 || status === 403;
    const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
    const hasFeed = ![404, 405, 406, 501, 503].includes(status) && this.cuts < CUTS; // 503: it has too many readers
    if (!hasFeed && this.polls <= 0) {
      this.polls = POLLS;
      return 0;
    }
    const isNews = status || this.failures || this.views.some((view) => !view.state); // streams end now and then
    if (isNews) for (const view of this.views) tell(view, isRefused ? "refused" : "lost", error);
    if (isRefused) return isFinal ? Infinity : SLOWEST;
    const backOff = Math.min(this.retry * 2 ** this.failures++, SLOWEST) * (0.5 + Math.random());
    return Math.max(error.wait || 0, backOff);
  }

  /** Return what an error is, if it is one of the network, of which a browser says nothing. */
  async explain(error) {
    if (!(error instanceof TypeError) || this.isAway) return error;
    const { origin } = this.url;
    const isForeign = origin !== location.origin && this.views.some((view) => !view.state);
    const probe = new URL("-/widget.js", this.server);
    const isThere = isForeign && (await fetch(probe, { mode: "no-cors", cache: "no-store" }).catch(() => null));
    return new Failure(isThere
      ? `Pages of ${location.origin} may not read ${origin}: laurels serve --cors-origin ${location.origin} lets them.`
      : `${origin} cannot be reached.`);
  }

  async ask(url, accept, headers = {}) {
    const { signal } = this.abort;
    const token = typeof this.token === "function" ? await this.token() : this.token;
    if (token) headers.Authorization = `Bearer ${token}`;
    headers.Accept = accept;
    const answer = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
    if (answer.ok) return answer;
    const { detail = `The service answers ${answer.status}.` } = await answer.json().catch(() => ({}));
    throw new Failure(detail, answer.status, Number(answer.headers.get("Retry-After")) * 1_000);
  }

  // The stream

  async stream() {
    const others = [...connections].filter((each) => each.isStreaming && each.url.origin === this.url.origin);
    if (others.length >= STREAMS) return void (this.polls = POLLS);
    this.isStreaming = true;
    const url = new URL(this.url);
    if (this.views.length > 1) for (const view of this.views) url.searchParams.append("view", view.query);
    else url.search = this.views[0].query;
    this.listen(FIRST);
    const headers = this.lastId ? { "Last-Event-ID": this.lastId } : {};
    const answer = await this.ask(url, "text/event-stream, application/json;q=0.5", headers);
    this.cuts++;
    if (answer.headers.get("Content-Type")?.startsWith("application/json")) {
      return this.follow((await answer.json()).topics);
    }
    await this.receive(answer.body);
    throw new Failure("The stream has ended.");
  }

  listen(milliseconds) {
    const { abort } = this;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.cuts += 2;
      abort.abort(new Failure("The service does not answer."));
    }, milliseconds);
  }

  async receive(body) {
    const decoder = new TextDecoder();
    let text = "", event = {};
    for await (const bytes of chunks(body)) {
      this.listen(SILENCE);
      const lines = (text + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
      text = lines.pop();
      for (const line of lines) {
        if (line) take(line, event);
        else { this.handle(event); event = {}; }
      }
    }
  }

  handle({ event, data, id, retry }) {
    if (retry) this.retry = Number(retry);
    if (!data) return;
    if (id) this.lastId = id;
    this.failures = this.cuts = 0;
    const message = JSON.parse(data);
    const view = this.views[message.view ?? 0];
    if (event === "standing") call(view.onStanding, message);
    else show(view, message, event === "page");
    tell(view, "live");
  }

  // Without a stream

  async poll() {
    for (; this.polls > 0 && !this.isAway; this.polls--) {
      await this.read();
      await this.sleep(POLL);
    }
  }

  /** Follow what Topics tell: that something has changed, not what. So it reads, at most once a second. */
  async follow(topics) {
    clearTimeout(this.timer);
    let isOpen = true, isDue;
    const end = () => { isOpen = false; this.wake?.(); };
    const hear = (isHint) => {
      this.failures = this.cuts = 0;
      if (isHint) { isDue = true; this.wake?.(); }
    };
    subscribe(topics, this.abort.signal, hear).then(end, end);
    const last = Date.parse(topics.expiresAt) - 5_000;
    while (isOpen && !this.isAway && !(Date.now() > last)) {
      isDue = false;
      await this.read();
      await new Promise((done) => setTimeout(done, 1_000));
      if (!isDue && isOpen && !this.isAway) await this.sleep(SLOWEST); // a hint may get lost
    }
    if (!isOpen) throw new Failure("The subscription has ended.");
  }

  async read() {
    await Promise.all(this.views.map(async (view) => {
      try {
        await this.readView(view);
        tell(view, "live");
      } catch (error) {
        if (error.status !== 404) throw error;
        tell(view, "refused", error); // the name is not there, or not yet
      }
    }));
    this.failures = 0;
  }

  async readView(view) {
    const query = new URLSearchParams(view.query);
    const name = query.get("name");
    if (name === null) {
      const fields = ["rank", "place", "total", query.get("include")];
      query.set("include", fields.filter(Boolean).join());
    } else query.delete("name");
    const path = name === null ? this.path : `${this.path}/${encodeURIComponent(name)}`;
    const answer = await this.ask(new URL(`${path}?${query}`, this.server), "application/json");
    const found = await answer.json();
    if (name === null) return show(view, found, !view.state);
    const previous = view.standing ?? null;
    view.standing = found;
    if (previous?.score === found.score && previous.rank === found.rank) return;
    call(view.onStanding, { ...found, previous, passedBy: [] });
  }
}

function call(told, ...values) { // what goes wrong there is no fault of the feed
  try { told?.(...values); } catch (error) { reportError(error); }
}

function tell(view, state, error) {
  if (view.state === state && view.message === error?.message) return;
  view.state = state;
  view.message = error?.message;
  call(view.onState, state, error);
}

function show(view, { leaderboard, set = [], gone = [], total, period }, isWhole) {
  if (leaderboard) view.rows.clear();
  for (const name of gone) view.rows.delete(name);
  for (const entry of leaderboard ?? set) view.rows.set(entry.name, entry);
  const rows = [...view.rows.values()].sort((one, other) => one.place - other.place);
  call(view.onRows, rows, total, isWhole, period);
}

function take(line, event) {
  const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
  event[field] = field === "data" && event.data ? `${event.data}\n${value}` : value;
}

async function* chunks(body) {
  const reader = body.getReader();
  for (let next; !(next = await reader.read()).done; ) yield next.value;
}

/** Subscribe to a topic of Momento by gRPC-Web, until it ends; say of each message whether something has changed. */
async function subscribe({ endpoint, cache, topic, token }, signal, hear) {
  const base = endpoint.includes("://") ? endpoint : `https://web.${endpoint}`;
  const message = [...field(1, cache), ...field(2, topic)];
  const body = new Uint8Array([0, 0, 0, message.length >> 8, message.length & 255, ...message]);
  const headers = { Authorization: token, "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1" };
  const request = { method: "POST", headers, body, signal, credentials: "omit" };
  const answer = await fetch(`${base}/cache_client.pubsub.Pubsub/Subscribe`, request);
  let bytes = [];
  for await (const more of chunks(answer.body)) {
    bytes.push(...more);
    for (let end; bytes.length >= 5; bytes = bytes.slice(end)) {
      end = 5 + new DataView(new Uint8Array(bytes).buffer).getUint32(1);
      if (bytes.length < end) break;
      if (bytes[0] === 0) hear(bytes[5] !== HEARTBEAT);
    }
  }
}

const HEARTBEAT = (3 << 3) | 2; // the tag of a message that is one

function field(number, text) {
  const bytes = new TextEncoder().encode(text);
  const size = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return [(number << 3) | 2, ...size, ...bytes];
}
