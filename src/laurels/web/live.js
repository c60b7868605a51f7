// The feed of a board, as rows: one connection for all views of a board that a page watches, however many there are.
// It reads Server-Sent Events by fetch, because EventSource cannot send a key.

const SILENCE = 40_000; // the service says something every 15 seconds
const SLOWEST = 30_000;
const POLL = 2_000; // how often a board is read that tells nobody of changes
const connections = new Map();

export const topics = { subscribe: null }; // (topics, hint) => close, for a service whose boards tell of changes elsewhere

/** Watch one view of a board. `query` is that of a read, such as "startRank=0&endRank=20" or "name=v".
 *  `onRows(rows, total, isWhole)` gets the rows by place at first and after each change; `onStanding(standing)` what is
 *  said of one name; `onState(state)` "live", "lost" (it is trying again), "refused" or "off" (there is no feed). */
export function watch({ server, board, query, token = "", onRows, onStanding, onState = () => {} }) {
  const key = JSON.stringify([server, board, token]);
  if (!connections.has(key)) connections.set(key, new Connection(server, board, token, () => connections.delete(key)));
  return connections.get(key).add({ query, onRows, onStanding, onState, rows: new Map() });
}

class Connection {
  constructor(server, board, token, onEnd) {
    this.url = new URL(`-/boards/${encodeURIComponent(board)}/live`, server);
    this.read = new URL(encodeURIComponent(board), server);
    this.token = token;
    this.onEnd = onEnd;
    this.views = [];
    this.retry = 1_000;
    this.failures = 0;
  }

  add(view) {
    this.views.push(view);
    this.restart();
    return {
      close: () => {
        this.views = this.views.filter((each) => each !== view);
        this.views.length ? this.restart() : this.end();
      },
    };
  }

  restart() { // once for all views that are added or closed at a time
    this.stop();
    this.lastId = "";
    this.timer = setTimeout(() => this.connect(), 0);
  }

  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.closeTopics?.();
    this.closeTopics = null;
    this.abort?.abort();
  }

  end() {
    this.stop();
    this.onEnd();
  }

  say(state) {
    for (const view of this.views) view.onState(state);
  }

  ask(url, headers = {}) {
    this.abort = new AbortController();
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return fetch(url, { headers, signal: this.abort.signal, cache: "no-store", credentials: "omit" });
  }

  async connect() {
    const url = new URL(this.url);
    const [first, ...others] = this.views;
    if (others.length) for (const view of this.views) url.searchParams.append("view", view.query);
    else url.search = first.query;
    const headers = { Accept: "text/event-stream" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    let own;
    try {
      const asking = this.ask(url, headers);
      own = this.abort;
      this.listen();
      const answer = await asking;
      const kind = answer.headers.get("Content-Type") ?? "";
      if ([401, 403].includes(answer.status)) return this.finish("refused");
      if ([404, 406, 405, 501].includes(answer.status)) return this.finish("off");
      if (kind.startsWith("application/json") && answer.ok) return this.follow((await answer.json()).topics);
      if (!answer.ok) throw new Error(answer.status);
      await this.receive(answer.body);
    } catch (error) { /* the connection broke, which is what comes next */ }
    if (own === this.abort) this.again();
  }

  finish(state) {
    clearTimeout(this.silence);
    this.say(state);
  }

  listen() {
    clearTimeout(this.silence);
    const own = this.abort;
    this.silence = setTimeout(() => own.abort(), SILENCE);
  }

  again() {
    clearTimeout(this.silence);
    this.say("lost");
    const wait = Math.min(this.retry * 2 ** this.failures++, SLOWEST) * (0.5 + Math.random());
    this.timer = setTimeout(() => this.connect(), wait);
  }

  async receive(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "", event = {};
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.listen();
      const lines = (text + value).split(/\r\n|\n/);
      text = lines.pop();
      for (const line of lines) {
        if (line) take(line, event);
        else { this.handle(event); event = {}; }
      }
    }
  }

  handle({ event, data, id, retry }) {
    if (retry) this.retry = retry;
    if (data === undefined) return;
    if (id !== undefined) this.lastId = id;
    this.failures = 0;
    const message = JSON.parse(data);
    const view = this.views[message.view ?? 0];
    if (!view) return;
    view.onState("live");
    if (event === "standing") return view.onStanding?.(message);
    show(view, event, message);
  }

  // A service that tells of changes elsewhere, or of none: its boards are read again, at most once a second.
  follow(found) {
    clearTimeout(this.silence);
    let due = false, reading = false;
    const again = async () => {
      if (reading) return void (due = true);
      reading = true;
      due = false;
      try {
        await Promise.all(this.views.map((view) => this.readView(view)));
      } catch (error) { this.say("lost"); }
      setTimeout(() => { reading = false; if (due && this.closeTopics) again(); }, 1_000);
    };
    const close = topics.subscribe?.(found, again);
    const timer = close ? null : setInterval(() => { if (!document.hidden) again(); }, POLL);
    this.closeTopics = () => { close?.(); clearInterval(timer); };
    again();
  }

  async readView(view) {
    const url = new URL(this.read);
    url.search = view.query;
    url.searchParams.set("include", "rank");
    const answer = await this.ask(url, { Accept: "application/json" });
    if (!answer.ok) throw new Error(answer.status);
    const { leaderboard, total } = await answer.json();
    const start = Number(url.searchParams.get("startRank") ?? 0);
    leaderboard.forEach((entry, index) => { entry.place ??= start + index; });
    view.onState("live");
    show(view, "page", { leaderboard, total });
  }
}

function take(line, event) {
  const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line);
  if (field === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
  else if (field === "retry") event.retry = Number(value);
  else if (field) event[field] = value;
}

function show(view, event, message) {
  if (event === "page") view.rows = new Map(message.leaderboard.map((entry) => [entry.name, entry]));
  else {
    for (const name of message.gone ?? []) view.rows.delete(name);
    for (const entry of message.set ?? []) view.rows.set(entry.name, entry);
  }
  const rows = [...view.rows.values()].sort((one, other) => one.place - other.place);
  view.onRows?.(rows, message.total, event === "page");
}
