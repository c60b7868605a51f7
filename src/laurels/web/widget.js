// <laurels-board>: a board on any page. What it shows is text, its style a sheet that no policy has to allow.
//
//   board    which one, on the service `server`: the one that this file is from, unless said
//   window   daily, for one, instead of all time; limit: how many entries, 10 unless said
//   player   whose row is marked, and is there also if it is further down
//   heading  instead of the board's title; "" for none
//   token    a player's token or a key, where anybody may not read; better as a property, which is in no markup
//   live     "off" for the board as it is once

import { watch } from "./live.js";
import { request } from "./request.js";
import { formatNumber, formatScore, make, nameOf } from "./text.js";

const CSS = `
:host { display: block; color: var(--laurels-color, CanvasText); background: var(--laurels-background, Canvas);
font: var(--laurels-font, 1rem/1.5 system-ui, sans-serif); border: 1px solid var(--laurels-line, #8884);
border-radius: var(--laurels-radius, .5rem); padding: var(--laurels-padding, .75rem 1rem); }
:host([hidden]) { display: none; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { font-weight: 600; font-size: 1.2em; text-align: start; padding-bottom: .25em; overflow-wrap: anywhere; }
th, td { padding: .3em .5em; text-align: start; font-weight: inherit;
border-top: 1px solid var(--laurels-line, #8884); }
thead th { border: 0; font-size: .85em; }
thead th, .foot { color: var(--laurels-muted, inherit); }
th:nth-child(2) { width: 100%; overflow-wrap: anywhere; }
th + td, th + th + th { text-align: end; white-space: nowrap; }
.mine { background: var(--laurels-highlight, #fd02); font-weight: 700; }
.further td, .further th { border-top: 3px double var(--laurels-line, #8884); }
a { color: var(--laurels-accent, inherit); }
p { margin: .5em 0 0; font-size: .85em; overflow-wrap: anywhere; }
p:empty { margin: 0; }
`;
const MOVE = { duration: 400, easing: "ease-out" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);

class LaurelsBoard extends HTMLElement {
  static observedAttributes = ["board", "server", "window", "limit", "player", "heading", "token", "live"];
  #token;
  #watches = [];
  #rows = new Map();
  #round = {};

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [sheet];
    const head = ["Rank", "Player", "Score"].map((word) => make("th", { scope: "col" }, word));
    this.score = head[2];
    this.caption = make("caption", { part: "heading" });
    this.body = make("tbody");
    this.foot = make("p", { part: "foot", class: "foot" });
    this.said = make("p", { part: "status", role: "status" });
    const table = make("table", { part: "table" }, this.caption, make("thead", {}, make("tr", {}, ...head)), this.body);
    shadow.append(make("div", { lang: "en" }, table, this.foot, this.said));
  }

  get token() { return this.#token ?? this.getAttribute("token") ?? ""; }

  set token(token) {
    this.#token = token;
    this.attributeChangedCallback();
  }

  connectedCallback() {
    const { token } = this;
    delete this.token; // set before this file was there
    if (token) this.token = token;
    this.attributeChangedCallback();
  }

  disconnectedCallback() {
    this.#close();
  }

  attributeChangedCallback() { // once for all that change at a time
    const round = (this.#round = {});
    queueMicrotask(() => { if (this.isConnected && round === this.#round) this.#start(round); });
  }

  #close() {
    for (const each of this.#watches.splice(0)) each.close();
  }

  async #start(round) {
    this.#close();
    const { token } = this;
    const [board, player, heading] = ["board", "player", "heading"].map((name) => this.getAttribute(name));
    if (!board) return this.#say("No board is named.");
    const path = encodeURIComponent(board);
    const where = this.getAttribute("server");
    const server = where ? new URL(where.replace(/\/*$/, "/"), document.baseURI) : new URL("..", import.meta.url);
    const described = request(new URL(`-/boards/${path}`, server), token).then((answer) => answer.json());
    const { title, display } = await described.catch(() => ({})); // what is wrong with it, the feed says
    if (round !== this.#round) return;
    const decimals = display?.decimals?.toString();
    Object.assign(this, { player, display: { ...display, decimals }, entries: null, standing: null });
    this.caption.replaceChildren(heading ?? nameOf(title ?? board));
    this.score.textContent = display?.format === "duration" ? "Time" : "Score";
    const window = this.getAttribute("window");
    const query = new URLSearchParams(window ? { window } : {});
    this.page = Object.assign(new URL(path, server), { search: query }).href;
    const given = {
      server, board, token,
      onRows: (...told) => this.#take(...told),
      onStanding: (standing) => this.#follow(standing),
      onState: (state, error) => this.#tell(state, error),
    };
    const limit = Math.min(Math.max(parseInt(this.getAttribute("limit")) || 10, 1), 1_000);
    this.#watches.push(watch({ ...given, query: `${new URLSearchParams([["endRank", limit], ...query])}` }));
    if (player) this.#watches.push(watch({ ...given, query: `${new URLSearchParams([["name", player], ...query])}` }));
  }

  #send(name, detail) {
    this.dispatchEvent(new CustomEvent(`laurels-${name}`, { bubbles: true, detail }));
  }

  #take(entries, total, isWhole, period) {
    this.entries = entries;
    const words = `${formatNumber(total)} ${total === 1 ? "player" : "players"}`;
    this.foot.replaceChildren(make("a", { part: "link", href: this.page, target: "_blank" }, words));
    this.#show(isWhole);
    this.#send("change", { entries, total, period });
  }

  #follow(standing) {
    this.standing = standing;
    this.#show(false);
    const names = standing.passedBy.flatMap((name) => [", ", nameOf(name)]).slice(1);
    if (names.length) this.#say(nameOf(this.player), " was passed by ", ...names, ".");
  }

  #tell(state, error) {
    if (state === "live") this.#say();
    else this.#say(state === "lost" && this.entries ? "Not connected. Trying again." : error.message);
    this.#send("state", { state, error });
  }

  #say(...words) {
    this.said.replaceChildren(...words);
  }

  #show(isWhole) {
    const { entries, standing, player } = this;
    if (!entries) return;
    const shown = [...entries];
    const isFurther = standing && standing.rank !== null && !entries.some(({ name }) => name === player);
    if (isFurther) shown.push({ ...standing, name: player });
    const before = new Map([...this.#rows].map(([name, row]) => [name, row.offsetTop]));
    const rows = new Map(shown.map((entry) => [entry.name, this.#row(entry)]));
    this.#rows = rows;
    const empty = make("tr", {}, make("td", { colspan: "3" }, "Nobody is on this board yet."));
    this.body.replaceChildren(...(shown.length ? rows.values() : [empty]));
    rows.get(player)?.classList.toggle("further", isFurther);
    if (!isWhole && !calm.matches) for (const [name, row] of rows) move(row, before.get(name));
    if (this.getAttribute("live") === "off" && (standing || !player)) this.#close();
  }

  #row({ name, score, rank }) {
    const mine = name === this.player && { class: "mine", "aria-current": "true", part: "row mine" };
    const cells = () => [make("td"), make("th", { scope: "row" }, nameOf(name)), make("td")];
    const row = this.#rows.get(name) ?? make("tr", { part: "row", ...mine }, ...cells());
    row.firstChild.textContent = formatNumber(rank + 1);
    row.lastChild.textContent = formatScore(score, this.display);
    return row;
  }
}

function move(row, before) {
  const by = before - row.offsetTop;
  if (by) row.animate([{ transform: `translateY(${by}px)` }, {}], MOVE);
  else if (before === undefined) row.animate([{ opacity: 0 }, {}], MOVE);
}

if (!customElements.get("laurels-board")) customElements.define("laurels-board", LaurelsBoard);
