// The scores that the guard of a board holds back: released or rejected.

import { ask, path, query } from "./api.js";
import { button, confirm, fill, format, formatTime, make, nameOf, seen, table } from "./dom.js";

export function showHeld(place, _, board) {
  const list = make("div");
  place.append(list);
  let cursor = null;

  async function show() {
    const found = await ask("GET", path("-", "boards", board, "held") + query({ cursor }));
    const turn = (next) => {
      cursor = next;
      return fill(list, show);
    };
    return make(
      "div",
      {},
      found.held.length
        ? table("Held scores", ["Name", "Score", "Submitted", "Metadata", "Act"], found.held.map(cells))
        : make("p", {}, "No score is held."),
      make(
        "div",
        { class: "row" },
        cursor ? button("From the best", () => turn(null)) : null,
        found.next ? button("Next", () => turn(found.next)) : null,
      ),
    );
  }

  function cells({ name, score, submittedAt, metadata }) {
    const acts = make(
      "span",
      { class: "row" },
      button("Release", () => decide("release", name, score), { "aria-label": `Release ${seen(name)}` }),
      button("Reject", () => decide("reject", name, score), { class: "destroys", "aria-label": `Reject ${seen(name)}` }),
    );
    const kept = metadata === null ? "" : make("code", {}, seen(JSON.stringify(metadata)));
    return [nameOf(name), format(score), formatTime(submittedAt), kept, acts];
  }

  function decide(what, name, score) {
    const [title, about, done] = {
      release: ["Release", "It counts as of its time, past the guard, by the board's operator.", "released"],
      reject: ["Reject", "The held score is forgotten, which cannot be undone; the entry stays as it is.", "rejected"],
    }[what];
    const act = async () => {
      const now = await ask("GET", path(board, name) + query({ include: "held" })).catch(() => null);
      if (now && now.held?.score !== score) {
        await fill(list, show);
        const held = now.held ? `${format(now.held.score)} is held now` : "nothing is held of it any more";
        throw new Error(`This is not as it was shown: ${held}. Nothing was done.`);
      }
      await ask("POST", path("-", "boards", board, "held", name, what));
      await fill(list, show);
      return `The held score ${format(score)} of ${seen(name)} is ${done}.`;
    };
    const words = make("div", {}, make("p", {}, nameOf(name), `: ${format(score)}`), make("p", {}, about));
    const after = () => list.querySelector("[tabindex]");
    confirm(`${title} the score of ${seen(name)}?`, words, title, act, { destroys: what === "reject", after });
  }

  fill(list, show);
}
