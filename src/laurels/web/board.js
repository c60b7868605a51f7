// A board's page, live. The service has written it, and it works without this: a script moves the rows to their places,
// tells how the player fares who is followed, writes numbers and times for the reader, and sends a key.

import { watch } from "./live.js";
import { Failure, isToken } from "./request.js";
import { Rows } from "./rows.js";
import { formatNumber, formatScore, listOf, localize, make } from "./shown.js";
import { roll } from "./stage.js";

const SERVER = new URL("../", import.meta.url);
const AGAIN = 15_000; // how often what the feed does not tell is read again: the chart, the links
const SOON = 1_500;
const UNFIT = "This key does not do.";

let key = ""; // in the memory of this module alone: it goes with its tab
let ending = null; // what the page has going on

/** Ask for a page as the service writes it; throw if what answers is something else. */
async function fetchPage(address) {
  const headers = { Accept: "text/html", ...(key && { Authorization: `Bearer ${key}` }) };
  const answer = await fetch(address, { headers, cache: "no-store", credentials: "omit" });
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!found.querySelector("main")) throw new Failure(`The service answers ${answer.status}.`, answer.status);
  return found;
}

async function load(address) {
  show(await fetchPage(address));
}

/** Show another page in place of this one, which a key or a change of what there is asks for. */
function show(found) {
  ending?.abort();
  const search = document.activeElement?.id === "player" ? document.activeElement.value : null;
  document.title = found.title;
  document.body.replaceWith(found.body);
  start();
  if (search !== null) Object.assign(document.getElementById("player") ?? {}, { value: search }).focus?.();
}

let loaded = -Infinity;
let loading;

/** Show this page as it is by now; not over and over, if the service and its feed are not of one mind. */
function reload() {
  const { signal } = ending;
  clearTimeout(loading);
  loading = setTimeout(async () => {
    loaded = performance.now();
    const found = signal.aborted ? null : await fetchPage(location.href).catch(() => null);
    if (signal.aborted) return;
    if (found?.querySelector("main[data-board], #key")) show(found);
    else loading = setTimeout(reload, AGAIN); // it has trouble, which does not take the place of what is there
  }, loaded + SOON - performance.now());
}

/** Return what is the same as long as only the entries of a page change: else it is another page. */
function kindOf(page) {
  const { dataset } = page.querySelector("main");
  const words = ["h1", "#empty"].map((part) => page.querySelector(part).textContent);
  return JSON.stringify([words, { ...dataset, live: "live" in dataset }]);
}

function start() {
  ending = new AbortController();
  const { signal } = ending;
  const main = document.querySelector("main");
  if (key) keepKey(signal);
  if (!main?.dataset.board) return askForKey();
  const display = main.dataset;
  localize(document.body, display);
  if (document.body.className === "stage") roll(signal);
  if (!display.live) return;
  const rest = refreshing(display, signal);
  const rows = new Rows(document.getElementById("entries"), display, { onTimesMissing: () => rest(SOON) });
  const where = { server: SERVER.href, board: display.board, token: key };
  const views = [watch({ ...where, query: display.live, onState: say, onRows: showRows })];
  if (display.player) {
    const window = new URLSearchParams(display.live).get("window");
    const query = new URLSearchParams({ ...(window && { window }), name: display.player });
    views.push(watch({ ...where, query: `${query}`, onStanding: (standing) => follow(standing, display) }));
  }
  signal.addEventListener("abort", () => views.forEach((view) => view.close()));

  const hasPages = display.live.includes("startRank=") && document.body.className !== "stage";
  const isEmpty = document.getElementById("chart") === null && document.getElementById("empty").hidden === false;
  let current;
  function showRows(entries, total, isWhole, period) {
    if (period !== (current ??= period) || !(total || isEmpty)) rest(SOON);
    current = period;
    rows.show(entries, isWhole);
    const [place, players] = [document.getElementById("total"), total === 1 ? "player" : "players"];
    write(place, `${formatNumber(total)} ${players}`);
    if (isEmpty && entries.length) return reload(); // with a chart, and all columns
    document.getElementById("empty").hidden = entries.length > 0;
    const isLast = !document.querySelector("[rel=next]");
    if (hasPages && entries.length && isLast === entries.at(-1).place < total - 1) rest(SOON);
  }
}

function write(place, words) { // what is the same is not read aloud again
  if (place.textContent !== words) place.textContent = words;
}

/** Say whether the page is live. */
function say(state, error) {
  const place = document.getElementById("live");
  place.className = `state ${state}`;
  const why = error?.message ?? "";
  write(place, { live: "Live", lost: "Connection lost. Trying again …", refused: `Not live: ${why}` }[state]);
}

// Who is followed

/** Show how the player stands, and what has changed: who has passed, or how far it has come. */
function follow({ score, rank, previous, passedBy }, display) {
  const card = document.getElementById("card");
  if ((rank === null) !== (card === null)) return reload();
  if (rank === null) return;
  const [place, points] = card.querySelectorAll("dd data");
  place.textContent = formatNumber(rank + 1);
  points.textContent = formatScore(score, display);
  if (!previous || previous.rank === null || previous.rank === rank) return;
  const news = document.getElementById("news");
  const from = `rank ${formatNumber(rank + 1)}, from ${formatNumber(previous.rank + 1)}.`;
  news.className = rank > previous.rank ? "news fell" : "news rose";
  if (passedBy.length) news.replaceChildren("Passed by ", ...listOf(passedBy), `. Now at ${from}`);
  else news.replaceChildren(`${rank < previous.rank ? "Up" : "Down"} to ${from}`);
}

// What the feed does not tell

/** Return what asks for the chart, the links and the times once more, after a while; the chart also now and then. */
function refreshing(display, signal) {
  let timer, due = Infinity, isSeen = false;
  const rest = (wait) => {
    const at = performance.now() + wait * (1 + Math.random() / 3); // not all who look on at once
    if (at >= due) return;
    due = at;
    clearTimeout(timer);
    timer = setTimeout(refresh, at - performance.now());
  };
  async function refresh() {
    due = Infinity;
    if (document.hidden) return void addEventListener("visibilitychange", () => rest(0), { once: true, signal });
    const found = await fetchPage(location.href).catch(() => null);
    if (signal.aborted) return;
    if (found?.querySelector("main[data-board]")) {
      if (kindOf(found) !== kindOf(document)) return show(found);
      graft(found, display);
    }
    if (isSeen) rest(AGAIN);
  }
  const chart = document.getElementById("chart");
  const seeing = new IntersectionObserver(([{ isIntersecting }]) => {
    isSeen = isIntersecting;
    if (isSeen) rest(AGAIN);
  });
  if (chart) seeing.observe(chart);
  signal.addEventListener("abort", () => { clearTimeout(timer); seeing.disconnect(); });
  return rest;
}

const BEFORE = { "nav.pages": ".wide", "nav.past": "nav.tabs" };

/** Put parts of a page that was read again in the place of those that are shown. */
function graft(found, display) {
  localize(found, display);
  for (const part of ["nav.tabs:not(.past)", "nav.past", "nav.pages", "figcaption", "#chart svg", ".axis", "#period"]) {
    const [mine, its] = [document.querySelector(part), found.querySelector(part)];
    if (mine && its && !mine.isEqualNode(its) && !mine.contains(document.activeElement)) mine.replaceWith(its);
    else if (its && !mine) document.querySelector(BEFORE[part])?.after(its);
    else if (mine && !its) mine.remove();
  }
  const rows = new Map([...found.querySelectorAll("tbody tr")].map((row) => [row.dataset.name, row]));
  for (const row of document.querySelectorAll("tbody tr")) {
    const its = rows.get(row.dataset.name)?.querySelector(".time");
    const isSame = its && its.parentElement.querySelector("data.score").value === row.querySelector("data.score").value;
    if (isSame) row.querySelector(".time")?.replaceWith(its);
  }
}

// A board that not everybody may read

/** Let a key be entered that is sent from then on, if this is the page of an error that one may mend. */
function askForKey() {
  const form = document.getElementById("key");
  if (!form) return;
  form.hidden = false;
  const field = form.querySelector("input");
  field.focus();
  if (key) complain(UNFIT);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const entered = field.value.trim();
    if (!isToken(entered)) return complain(UNFIT);
    key = entered;
    load(location.href).then(focus, fail);
  });
}

/** Follow the links to this board with the key, which a browser would not send. */
function keepKey(signal) {
  const go = (event, address) => {
    event.preventDefault();
    history.pushState(null, "", address);
    load(address).then(focus, fail);
  };
  document.body.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) go(event, link.href);
  });
  const form = document.querySelector("form[role=search]");
  form?.addEventListener("submit", (event) => go(event, `?${new URLSearchParams(new FormData(form))}`));
  addEventListener("popstate", () => load(location.href).then(focus, fail), { signal });
}

function focus() {
  const title = document.querySelector("h1");
  title.tabIndex = -1;
  if (!document.getElementById("key")) title.focus();
}

function fail(error) {
  complain(error instanceof Failure ? error.message : "The service cannot be reached.");
}

function complain(words) {
  document.querySelector("[role=alert]")?.remove();
  document.querySelector("main").prepend(make("p", { role: "alert", class: "lost" }, words));
}

start();
