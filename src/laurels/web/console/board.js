// One board: its parts, each a view of its own, and dropping it.

import { ask, path } from "./api.js";
import { address } from "./boards.js";
import { showDefinition } from "./definition.js";
import { Blamed, blame, button, confirm, labelled, make, nameOf, notPermitted, seen } from "./dom.js";
import { showEntries } from "./entries.js";
import { showHeld } from "./held.js";
import { showHidden } from "./hidden.js";

const PARTS = {
  entries: { title: "Entries", scope: "read", show: showEntries },
  held: { title: "Held scores", scope: "moderate", show: showHeld },
  hidden: { title: "Hidden names", scope: "moderate", show: showHidden },
  definition: { title: "Definition", scope: "read", show: showDefinition },
  drop: { title: "Drop", scope: "define", show: showDrop },
};

export function showBoard(place, session, board, name, signal) {
  const chosen = Object.hasOwn(PARTS, name) ? name : "entries";
  const links = Object.entries(PARTS).map(([part, { title }]) =>
    make("a", { href: address(board, part), "aria-current": part === chosen && "page" }, title),
  );
  const part = PARTS[chosen];
  const content = make("div");
  place.append(make("nav", { class: "parts", "aria-label": "Of this board" }, links), make("h2", {}, part.title), content);
  if (session.may(part.scope, board)) part.show(content, session, board, signal);
  else content.append(notPermitted(session, `"${part.title}" of this board`, part.scope));
}

/** Drop the board, once its name has been typed. */
function showDrop(place, _, board) {
  place.append(
    make(
      "p",
      {},
      "This removes every entry of the board and of all its periods, and its definition. Hidden names stay hidden, and ",
      "held scores stay held. It cannot be undone.",
    ),
    button("Drop the board", askName, { class: "destroys" }),
  );

  function askName() {
    const typed = make("input", { autocomplete: "off", spellcheck: "false" });
    const about = make("div", {}, make("p", {}, "Type its name: ", nameOf(board)), labelled("Name of the board", typed));
    confirm(`Drop the board ${seen(board)}?`, about, "Drop the board", () => drop(typed), { destroys: true, after });
  }

  const after = () => place.querySelector("a");

  async function drop(typed) {
    const isRight = typed.value === board || typed.value === seen(board);
    blame(typed, isRight ? "" : "This is not the board's name. Nothing was dropped.");
    if (!isRight) {
      typed.focus();
      throw new Blamed();
    }
    await ask("DELETE", path(board));
    await ask("DELETE", path("-", "boards", board));
    place.replaceChildren(make("p", {}, "The board is dropped. ", make("a", { href: "#/boards" }, "All boards")));
    return `The board ${seen(board)} is dropped: its entries, periods and definition.`;
  }
}
