// The boards: found by their names, with how many entries they have, and how many more each minute.

import { ask, query } from "./api.js";
import { button, fill, format, labelled, make, nameOf, notPermitted, problem, say, table } from "./dom.js";

const PAGE = 50;
const SECONDS = 5;

export function showBoards(place, session, signal) {
  const search = make("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: "256" });
  const exact = make("input", { autocomplete: "off", spellcheck: "false", maxlength: "256" });
  const list = make("div");
  let after = null;
  let trail = [];

  const find = make("form", { class: "row", role: "search" }, labelled("Names that begin with", search));
  find.append(make("button", { class: "main" }, "Find"));
  const open = make("form", { class: "row" }, labelled("A board's whole name", exact, "Also of one that is not there."));
  open.append(make("button", {}, "Open"));
  open.addEventListener("submit", (event) => {
    event.preventDefault();
    if (exact.value) location.hash = address(exact.value);
  });
  if (!session.may("read")) {
    place.append(open, notPermitted(session, "the list of boards", "read"));
    return;
  }
  place.append(make("div", { class: "row" }, find, open), list);

  const turn = (next, earlier) => {
    [after, trail] = [next, earlier];
    return fill(list, load);
  };

  async function load() {
    const found = await read();
    const watch = counting(found.boards);
    const rows = found.boards.map((board) => [link(board.name), ...watch.cells(board)]);
    const beats = setInterval(async () => {
      if (document.hidden || !list.contains(watch.note)) return;
      try {
        watch.update((await read()).boards);
      } catch (error) {
        watch.note.replaceChildren(problem(error));
      }
    }, SECONDS * 1000);
    const end = () => clearInterval(beats);
    signal.addEventListener("abort", end);
    list.addEventListener("left", end, { once: true });
    const heads = ["Board", "Entries", "New a minute", "Definition"];
    return make(
      "div",
      {},
      rows.length ? table("Boards", heads, rows) : make("p", {}, "There are no such boards."),
      watch.note,
      make(
        "div",
        { class: "row" },
        trail.length ? button("Previous", () => go(() => turn(trail.at(-1), trail.slice(0, -1)))) : null,
        found.next ? button("Next", () => go(() => turn(found.next, [...trail, after]))) : null,
      ),
    );
  }

  const read = () => ask("GET", `-/boards${query({ prefix: search.value, after, limit: PAGE, include: "count" })}`);

  async function go(turning) {
    list.dispatchEvent(new Event("left"));
    await turning();
    say(`${list.querySelectorAll("tbody tr").length} boards are listed.`);
  }

  find.addEventListener("submit", (event) => {
    event.preventDefault();
    go(() => turn(null, []));
  });
  turn(null, []);
}

export function address(name, view = "") {
  return `#/board/${encodeURIComponent(name)}${view && `/${view}`}`;
}

function link(name) {
  return make("a", { href: address(name) }, nameOf(name));
}

/** Cells that count, and rates from two counts of the same board. */
function counting(boards) {
  const cells = new Map();
  let before = new Map(boards.map((each) => [each.name, each.count]));
  let then = performance.now();
  return {
    note: make("p", { class: "hint" }, `Counted again every ${SECONDS} seconds.`),
    cells({ name, count, declared }) {
      const [counted, rate] = [make("span", {}, format(count)), make("span", {}, "…")];
      cells.set(name, [counted, rate]);
      return [counted, rate, declared ? "its own" : "the default"];
    },
    update(found) {
      const now = performance.now();
      for (const { name, count } of found) {
        if (!cells.has(name) || !before.has(name)) continue;
        const [counted, rate] = cells.get(name);
        counted.textContent = format(count);
        rate.textContent = format(Math.round(((count - before.get(name)) / (now - then)) * 60_000));
      }
      before = new Map(found.map((each) => [each.name, each.count]));
      then = now;
    },
  };
}
