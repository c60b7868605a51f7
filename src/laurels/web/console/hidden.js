// The hidden names of a board: shown again, and others hidden.

import { ask, path, query } from "./api.js";
import { blame, button, fill, format, labelled, make, nameOf, problem, say, seen, table } from "./dom.js";

export function showHidden(place, _, board) {
  const name = make("input", { autocomplete: "off", spellcheck: "false", maxlength: "256" });
  const list = make("div");
  const trouble = make("div");
  const form = make("form", { class: "row" }, labelled("Name", name, "It may be hidden before it has any score."));
  form.append(make("button", { class: "main" }, "Hide"));
  place.append(form, trouble, list);
  let after = null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    blame(name, name.value ? "" : "A name is needed.");
    if (name.value) act("PUT", name.value, "is hidden");
    else name.focus();
  });

  async function act(method, who, words) {
    trouble.replaceChildren();
    try {
      await ask(method, path("-", "boards", board, "hidden", who));
      await fill(list, show);
      name.value = "";
      name.focus();
      say(`${seen(who)} ${words}.`);
    } catch (error) {
      trouble.replaceChildren(problem(error));
    }
  }

  async function show() {
    const found = await ask("GET", path("-", "boards", board, "hidden") + query({ after, limit: 100 }));
    const rows = found.hidden.map(({ name: who, score }) => [
      nameOf(who),
      score === null ? "none" : format(score),
      button("Show", () => act("DELETE", who, "is shown again"), { "aria-label": `Show ${seen(who)}` }),
    ]);
    const turn = (next) => {
      after = next;
      return fill(list, show);
    };
    return make(
      "div",
      {},
      rows.length ? table("Hidden names", ["Name", "Score", "Act"], rows) : make("p", {}, "No name is hidden here."),
      make(
        "div",
        { class: "row" },
        after ? button("From the first", () => turn(null)) : null,
        found.next ? button("Next", () => turn(found.next)) : null,
      ),
    );
  }

  fill(list, show);
}
