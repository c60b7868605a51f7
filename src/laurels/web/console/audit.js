// The audit log: who did what, the newest first, as far as the filters go.

import { ask, query } from "./api.js";
import { button, format, formatTime, labelled, make, problem, row, say, seen, table } from "./dom.js";

const HEADS = ["Time", "Who", "From", "Operation", "Of", "Status", "Change"];
const LIMIT = 100;

export function showAudit(place) {
  const text = () => make("input", { autocomplete: "off", spellcheck: "false", maxlength: "256" });
  const [board, name, who] = [text(), text(), text()];
  const since = make("input", { type: "datetime-local" });
  const list = make("div");
  const form = make(
    "form",
    { class: "row", "aria-label": "Filters" },
    labelled("Board", board),
    labelled("Name", name),
    labelled("Who", who, "Such as key:console."),
    labelled("Since", since),
    make("button", { class: "main" }, "Show"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  place.append(form, list);

  async function begin() {
    const asked = {
      board: board.value,
      name: name.value,
      who: who.value,
      since: since.value && new Date(since.value).toISOString(),
      limit: LIMIT,
    };
    const rows = make("div");
    const further = make("div", { class: "row" });
    list.replaceChildren(rows, further);
    await go(asked, rows, further);
  }

  async function go(asked, place, further) {
    further.replaceChildren();
    try {
      const found = await ask("GET", `-/audit${query(asked)}`);
      const cells = found.records.map(cellsOf);
      const body = place.querySelector("tbody");
      if (body) body.append(...cells.map((each) => row(each, HEADS)));
      else if (cells.length) place.replaceChildren(table("Records", HEADS, cells));
      else place.replaceChildren(make("p", {}, found.next ? "None in this part of the file." : "There are no records."));
      if (found.next) further.append(button("Older", () => go({ ...asked, before: found.next }, place, further)));
      say(`${format(place.querySelectorAll("tbody tr").length)} records are shown.`);
    } catch (error) {
      further.replaceChildren(problem(error));
    }
  }

  begin();
}

function cellsOf(record) {
  const period = [record.window, record.period].filter(Boolean).join(" ");
  const of = [record.board, record.name ?? record.key, period && `(${period})`].filter(Boolean).map(seen).join(" · ");
  const missed = record.unrecorded ? ` (and ${format(record.unrecorded)} refused attempts before)` : "";
  return [
    formatTime(record.time),
    seen(record.who),
    seen(record.from),
    record.operation + missed,
    of,
    String(record.status),
    changeOf(record),
  ];
}

/** What an act changed: of two objects, such as definitions, only what differs. */
function changeOf({ before = null, after }) {
  if (after === undefined) return "";
  const isObject = (value) => value !== null && typeof value === "object";
  if (!isObject(before) || !isObject(after)) return `${shown(before)} → ${shown(after)}`;
  const differing = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (part) => shown(before[part]) !== shown(after[part]),
  );
  return differing.map((part) => `${part}: ${shown(before[part])} → ${shown(after[part])}`).join(", ") || "nothing";
}

function shown(value) {
  return value === undefined ? "nothing" : seen(JSON.stringify(value));
}
