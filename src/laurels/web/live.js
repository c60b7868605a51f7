// The feed of a board, as rows: one connection for all views of a board that a page watches, however many there are.
// It reads Server-Sent Events by fetch, because EventSource can send no key. If the service has none, or something
// between keeps them back, it reads the board again and again; if Momento's Topics tell of changes, when they do.

import { Failure, request } from "./request.js";

const SILENCE = 40_000; // the service says something every 15 seconds,
const FIRST = 6_000; // and begins at once
const SLOWEST = 30_000; // how long it waits at most before it tries again, but for what Retry-After says
const AWAY = 20_000; // how long it goes on in a tab that nobody sees
const POLL = 2_000;
const POLLS = 30; // how often it reads before it tries the stream again
const CUTS = 3; // how many streams without an event show that something keeps them back
const STREAMS = 4; // of one page to one service: browsers open six connections at most
const VIEWS = 16; // of one stream
const NO_FEED = [400, 404, 405, 406, 422, 501, 503]; // or one view is no good, or it has too many readers: read each
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
  return (found ?? new Connection(server, board, token)).add(new View(query, onRows, onStanding, onState));
}

addEventListener("online", () => connections.forEach((each) => each.wake?.()));
let leaving;
addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(() => connections.forEach((each) => each.pause()), AWAY);
});

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
      this.good = this.views.filter((view) => !view.isWrong);
      if (this.running !== running || !this.good.length) return;
      this.isAway = false;
      const abort = (this.abort = new AbortController());
      const trying = this.polls > 0 ? this.poll() : this.stream();
      const error = await trying.catch((error) => this.explain(error));
      abort.abort();
      if (this.running !== running) return;
      this.isStreaming = false;
      const wait = error && !this.isAway ? this.fail(error) : 0;
      if (wait === Infinity) return;
      if (wait) await this.sleep(wait);
    }
  }

  /** Say what has failed; return how long to wait. */
  fail(error) {
    const { status } = error;
    const isFinal = status === 401 || status === 403;
    const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
    const hasFeed = !NO_FEED.includes(status) && this.cuts < CUTS;
    if (!hasFeed && this.polls <= 0) {
      this.polls = POLLS;
      return 0;
    }
    const isNews = status || this.failures || this.views.some((view) => !view.state); // streams end now and then
    if (isNews) for (const view of this.views) view.say(isRefused ? "refused" : "lost", error);
    if (isRefused) return isFinal ? Infinity : SLOWEST;
    const backOff = Math.min(this.retry * 2 ** this.failures++, SLOWEST) * (0.5 + Math.random());
    return Math.max(error.wait || 0, backOff);
  }

  /** Return what an error is, if it is one of the network, of which a browser says nothing. */
  async explain(error) {
    if (!(error instanceof TypeError) || this.isAway) return error;
    const { origin } = this.url;
    const isForeign = origin !== location.origin && !this.views.some((view) => view.wasLive);
    const probe = new URL("-/widget.js", this.server);
    const isThere = isForeign && (await fetch(probe, { mode: "no-cors", cache: "no-store" }).catch(() => null));
    return new Failure(isThere
      ? `Pages of ${location.origin} may not read ${origin}: laurels serve --cors-origin ${location.origin} lets them.`
      : `${origin} cannot be reached.`);
  }

  // The stream

  async stream() {
    const others = [...connections].filter((each) => each.isStreaming && each.url.origin === this.url.origin);
    if (others.length >= STREAMS) return void (this.polls = POLLS);
    this.isStreaming = true;
    const url = new URL(this.url);
    if (this.good.length > 1) for (const view of this.good) url.searchParams.append("view", view.query);
    else url.search = this.good[0].query;
    this.listen(FIRST);
    const headers = { Accept: "text/event-stream, application/json;q=0.5" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    const answer = await request(url, this.token, headers, this.abort.signal);
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
    const reader = body.getReader();
    for (let next; !(next = await reader.read()).done; ) {
      this.listen(SILENCE);
      const lines = (text + decoder.decode(next.value, { stream: true })).split(/\r?\n/);
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
    const view = this.good[message.view ?? 0];
    if (event === "standing") view.tell("onStanding", message);
    else view.show(message, event === "page");
    view.say("live");
  }

  // Without a stream

  async poll() {
    const { read } = await import("./polling.js");
    for (; this.polls > 0 && !this.isAway; this.polls--) {
      await read(this);
      await this.sleep(POLL);
    }
  }

  async follow(topics) {
    clearTimeout(this.timer);
    const { follow } = await import("./polling.js");
    await follow(topics, this);
    throw new Failure("The subscription has ended.");
  }
}

/** What one who watches has been told. */
class View {
  rows = new Map();

  constructor(query, onRows, onStanding, onState) {
    Object.assign(this, { query, onRows, onStanding, onState });
  }

  say(state, error) {
    if (this.state === state && this.message === error?.message) return;
    Object.assign(this, { state, message: error?.message });
    this.wasLive ||= state === "live";
    this.tell("onState", state, error);
  }

  show({ leaderboard, set = [], gone = [], total, period }, isWhole) {
    if (leaderboard) this.rows.clear();
    for (const name of gone) this.rows.delete(name);
    for (const entry of leaderboard ?? set) this.rows.set(entry.name, entry);
    const rows = [...this.rows.values()].sort((one, other) => one.place - other.place);
    this.tell("onRows", rows, total, isWhole, period);
  }

  tell(what, ...values) { // what goes wrong there is no fault of the feed
    try { this[what]?.(...values); } catch (error) { reportError(error); }
  }
}

function take(line, event) {
  const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
  event[field] = field === "data" && event.data ? `${event.data}\n${value}` : value;
}
