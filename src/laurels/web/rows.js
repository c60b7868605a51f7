// The rows of a table, which follow a feed: each moves to its new place, and is marked for a moment if it is new or has
// another score.

import { avatarOf, fieldOf, flagOf, formatNumber, formatScore, formatTime, make, nameOf } from "./shown.js";

const MOVE = { duration: 550, easing: "cubic-bezier(.2, .7, .2, 1)" };
const MOST_MOVED = 200; // more would make the page halt
const MEDALS = 3;

export class Rows {
  constructor(table, display, { onTimesMissing }) {
    Object.assign(this, { table, display, onTimesMissing });
    this.body = table.tBodies[0];
    this.fields = JSON.parse(display.fields ?? "[]");
    this.hosts = display.hosts?.split(" ") ?? [];
    this.hasTimes = table.querySelector("thead .time") !== null;
    const kept = new URLSearchParams(location.search);
    const own = ["window", "view"].filter((name) => kept.get(name));
    this.link = `?${own.map((name) => `${name}=${encodeURIComponent(kept.get(name))}&`).join("")}player=`;
  }

  /** Show entries, by place. */
  show(entries, isWhole) {
    const rows = new Map([...this.body.rows].map((row) => [row.dataset.name, row]));
    const before = measure(rows);
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    const index = focused?.closest("tr").rowIndex - 1;
    let at = this.body.firstElementChild;
    for (const entry of entries) {
      const row = rows.get(entry.name) ?? this.make(entry.name);
      const isNew = !rows.delete(entry.name);
      const hasChanged = this.write(row, entry, isNew || isWhole);
      if (hasChanged) mark(row);
      if (row === at) at = at.nextElementSibling;
      else this.body.insertBefore(row, at);
    }
    for (const row of rows.values()) row.remove();
    this.table.hidden = entries.length === 0;
    this.table.caption.textContent = caption(entries);
    if (focused && focused !== document.activeElement) {
      const there = this.body.rows[Math.min(index, this.body.rows.length - 1)];
      (focused.isConnected ? focused : there?.querySelector("a"))?.focus({ preventScroll: true });
    }
    move([...this.body.rows], before);
  }

  make(name) {
    const row = make("tr", { "data-name": name, class: name === this.display.player && "mine" });
    const fields = this.fields.map(() => make("td"));
    const time = this.hasTimes ? make("td", { class: "time" }) : null;
    row.append(make("td", { class: "rank" }, make("span")), this.head(name), ...fields);
    row.append(make("td", { class: "number" }, make("data", { class: "score" })), ...(time ? [time] : []));
    return row;
  }

  /** The cell of a name: with its picture and flag, if they are shown. */
  head(name, metadata) {
    const { avatar, country } = this.display;
    const link = make("a", { href: this.link + encodeURIComponent(name) }, nameOf(name));
    const picture = avatar ? avatarOf(metadata?.[avatar], this.hosts) : null;
    return make("th", { scope: "row" }, picture, link, country ? flagOf(metadata?.[country]) : null);
  }

  /** Write an entry into its row; return whether its score is another one than was there. */
  write(row, { name, score, rank, place, metadata }, isEntering) {
    row.dataset.place = place;
    const [cell, head] = row.cells;
    if (rank < MEDALS) cell.dataset.medal = rank + 1;
    else delete cell.dataset.medal;
    cell.firstElementChild.textContent = formatNumber(rank + 1);
    if (metadata !== undefined) this.writeMetadata(row, head, name, metadata);
    const shown = row.querySelector("data.score");
    if (shown.getAttribute("value") !== null && Number(shown.value) === score) return false;
    shown.value = score;
    shown.textContent = formatScore(score, this.display);
    if (this.hasTimes) this.writeTime(row, isEntering);
    return true;
  }

  writeMetadata(row, head, name, metadata) {
    const isObject = metadata !== null && typeof metadata === "object";
    const found = isObject ? metadata : {};
    exchange(head, this.head(name, found));
    this.fields.forEach((field, index) => {
      const has = Object.hasOwn(found, field) ? fieldOf(found[field]) : null;
      exchange(row.cells[2 + index], make("td", {}, has));
    });
  }

  /** A score that has just changed is of now; of another nothing is known but what the service says if it is asked. */
  writeTime(row, isEntering) {
    const now = new Date();
    const words = { datetime: now.toISOString(), title: now.toLocaleString() };
    row.cells[row.cells.length - 1].replaceChildren(isEntering ? "" : make("time", words, formatTime(now)));
    if (isEntering) this.onTimesMissing();
  }
}

function exchange(old, one) {
  if (!old.isEqualNode(one)) old.replaceWith(one);
}

function caption(entries) {
  if (!entries.length) return "Entries";
  const [first, last] = [entries[0], entries.at(-1)].map((entry) => formatNumber(entry.rank + 1));
  return first === last ? `Rank ${first}` : `Ranks ${first} to ${last}`;
}

function mark(row) {
  row.classList.remove("news-row");
  void row.offsetWidth; // so that the mark begins anew
  row.classList.add("news-row");
  row.addEventListener("animationend", () => row.classList.remove("news-row"), { once: true });
}

const isStill = () => document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Where rows are seen now, also on their way. */
function measure(rows) {
  if (isStill() || rows.size > MOST_MOVED) return null;
  return new Map([...rows.values()].map((row) => [row, topOf(row)]));
}

/** How far below the head of its table a row is seen. */
const topOf = (row) => row.getBoundingClientRect().top - row.parentElement.getBoundingClientRect().top;

/** Move rows from where they were seen to where they are, which is where they are already for who does not look. */
function move(rows, before) {
  if (!before) return;
  for (const row of rows) for (const each of row.getAnimations()) if (each.id === "move") each.cancel();
  const ways = rows.map((row) => [row, before.has(row) ? before.get(row) - topOf(row) : null]);
  for (const [row, way] of ways) {
    const from = way === null ? { opacity: 0 } : { transform: `translateY(${way}px)` };
    if (way === null || Math.abs(way) > 1) row.animate([from, {}], { ...MOVE, id: "move" });
  }
}
