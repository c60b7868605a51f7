// The entries of a board or of a period: paged, looked up, corrected, hidden, deleted.

import { Problem, ask, askText, path, query } from "./api.js";
import { button, confirm, fill, format, formatTime, labelled, make, nameOf, notPermitted, readNumber, say } from "./dom.js";
import { seen, table } from "./dom.js";

const PAGE = 50;
const SPAN = 5;
const INCLUDE = "rank,metadata,submittedAt";
const METADATA = ',"metadata":';

export function showEntries(place, session, board) {
  const name = make("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: "256" });
  const period = make("select", {}, make("option", { value: "" }, "all time"));
  const list = make("div");
  const mayModerate = session.may("moderate", board);
  let trail = [];

  const find = make("form", { class: "row", role: "search" }, labelled("Name", name), labelled("Period", period));
  find.append(make("button", { class: "main" }, "Look up"), button("From the top", () => top()));
  place.append(find, make("p", {}, make("a", { href: new URL(`../../../${path(board)}`, import.meta.url) }, "The board's own page")));
  if (!mayModerate) place.append(notPermitted(session, "to correct, hide or delete entries", "moderate"));
  place.append(list);

  const of = () => (period.value ? JSON.parse(period.value) : {});
  const read = (asked) => ask("GET", path(board) + query({ ...asked, ...of() }));

  find.addEventListener("submit", (event) => {
    event.preventDefault();
    if (name.value) fill(list, lookUp).then(tell);
    else top();
  });
  period.addEventListener("change", () => (name.value ? fill(list, lookUp).then(tell) : top()));

  const tell = () => say(`${format(list.querySelectorAll("tbody tr").length)} entries are shown.`);
  const again = () => (name.value ? fill(list, lookUp) : fill(list, page));

  async function top() {
    name.value = "";
    trail = [];
    await fill(list, page);
    tell();
  }

  /** The page whose cursor is the last of the trail. */
  async function page() {
    const cursor = trail.at(-1);
    const found = await read({ ...(cursor ? { cursor } : { endRank: PAGE }), include: `${INCLUDE},cursor` });
    const turn = (next) => {
      trail = next;
      return fill(list, page).then(tell);
    };
    return make(
      "div",
      {},
      shown(found.leaderboard),
      make(
        "div",
        { class: "row" },
        trail.length ? button("Previous", () => turn(trail.slice(0, -1))) : null,
        found.next ? button("Next", () => turn([...trail, found.next])) : null,
      ),
    );
  }

  async function lookUp() {
    try {
      const found = await read({ around: name.value, span: SPAN, include: INCLUDE });
      return shown(found.leaderboard, name.value);
    } catch (error) {
      if (error.status !== 404) throw error;
      const standing = await ask("GET", path(board, name.value) + query(of()));
      if (!standing.hidden) throw error;
      const words = `is hidden, with the score ${format(standing.score)}.`;
      return make("p", {}, nameOf(name.value), ` ${words} `, make("a", { href: address(board) }, "Hidden names"));
    }
  }

  function shown(entries, sought) {
    if (!entries.length) return make("p", {}, "There are no entries.");
    const heads = ["Name", "Rank", "Score", "Submitted", "Metadata", ...(mayModerate ? ["Act"] : [])];
    const whole = table("Entries", heads, entries.map(cells));
    const place = entries.findIndex((each) => each.name === sought);
    if (place >= 0) whole.querySelectorAll("tbody tr")[place].setAttribute("aria-current", "true");
    return whole;
  }

  function cells(entry) {
    const { name: who, score, rank, metadata, submittedAt } = entry;
    const label = (words) => ({ "aria-label": `${words} ${seen(who)}` });
    const acts = make(
      "span",
      { class: "row" },
      button("Correct", () => correct(entry), label("Correct")),
      button("Hide", () => hide(entry), label("Hide")),
      button("Delete", () => remove(entry), { class: "destroys", ...label("Delete") }),
    );
    return [
      nameOf(who),
      format(rank + 1),
      format(score),
      submittedAt ? formatTime(submittedAt) : "",
      metadata === null ? "" : make("code", {}, seen(JSON.stringify(metadata))),
      ...(mayModerate ? [acts] : []),
    ];
  }

  /**
   * Return the metadata of an entry as JSON, to the digit; raise Problem, and show what there is, unless the entry is
   * still as it was shown.
   */
  async function check(entry) {
    const text = await askText(path(board) + query({ name: entry.name, include: INCLUDE, ...of() }), "application/json");
    const [now] = JSON.parse(text).leaderboard;
    if (now && now.score === entry.score && now.submittedAt === entry.submittedAt) {
      const start = text.indexOf(METADATA) + METADATA.length;
      return text.slice(start, text.lastIndexOf(',"submittedAt":'));
    }
    await again();
    const what = now ? `its score is ${format(now.score)} now` : "it is not on the board any more";
    throw new Problem(409, {
      title: "Changed meanwhile",
      detail: `This entry is not as it was shown: ${what}. Nothing was changed. Close this, and look at it again.`,
    });
  }

  function correct(entry) {
    const { name: who } = entry;
    const score = make("input", { inputmode: "decimal", value: entry.score, autocomplete: "off", required: true });
    const about = make(
      "div",
      {},
      make("p", {}, "The score of ", nameOf(who), ` is ${format(entry.score)}. Another one takes its place on the board `,
        "and in its current periods, whatever the operator and the guard say; its metadata stay."),
      labelled("Score", score),
    );
    confirm(`Correct ${seen(who)}`, about, "Correct", async () => {
      const number = readNumber(score);
      const body = `{"score":${number},"operator":"latest","metadata":${await check(entry)}}`;
      const headers = { Prefer: "return=representation" };
      const done = await ask("POST", path(board, who), { body, headers });
      await again();
      const now = done?.score ?? number;
      return `The score of ${seen(who)} is ${format(now)}; it was ${format(done?.previous?.score ?? entry.score)}.`;
    }, { after: focusList });
  }

  async function hide({ name: who }) {
    const act = async () => {
      await ask("PUT", path("-", "boards", board, "hidden", who));
      await again();
      return `${seen(who)} is hidden on this board, and can be shown again under "Hidden names".`;
    };
    const about = make("p", {}, "It keeps its score, and stands on no list of this board and its periods until it is shown.");
    confirm(`Hide ${seen(who)}?`, about, "Hide", act, { after: focusList });
  }

  function remove(entry) {
    const { name: who } = entry;
    const where = period.value ? period.selectedOptions[0].textContent : "";
    const about = make("p", {}, where ? `From ${where} alone.` : "From the board and all its periods.", " It cannot be undone.");
    confirm(`Delete ${seen(who)}?`, about, "Delete", async () => {
      await check(entry);
      await ask("DELETE", path(board, who) + query(of()));
      await again();
      return `${seen(who)} is deleted, with the score ${format(entry.score)}.`;
    }, { destroys: true, after: focusList });
  }

  const focusList = () => list.querySelector("[tabindex]") || name;

  async function listPeriods() {
    const { periods } = await ask("GET", path("-", "boards", board, "periods"));
    for (const each of periods.reverse()) {
      const value = JSON.stringify({ window: each.window, period: each.period });
      period.append(make("option", { value }, `${each.window} ${each.period}${each.current ? " (current)" : ""}`));
    }
  }

  listPeriods().catch(() => {}); // a store without periods has none to choose from
  fill(list, page);
}

const address = (board) => `#/board/${encodeURIComponent(board)}/hidden`;
