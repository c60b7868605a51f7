// The definition of a board, edited by a form that is made from its JSON Schema in the OpenAPI document.

import { ask, askTagged, path } from "./api.js";
import { Blamed, blame, button, confirm, fill, make, nameOf, notPermitted, problem, say, seen } from "./dom.js";
import { edit, parts } from "./schema.js";

let schemas = null;

export function showDefinition(place, session, board) {
  const mayDefine = session.may("define", board);
  const target = path("-", "boards", board);
  const load = () => fill(place, show);

  async function show() {
    schemas ??= (await ask("GET", "-/openapi.json")).components.schemas;
    let read = { found: {}, tag: null };
    let isThere = true;
    try {
      read = await askTagged("GET", target);
    } catch (error) {
      if (error.status !== 404) throw error;
      isThere = false;
    }
    const editor = edit({ $ref: "#/NewDefinition" }, schemas, "Rules", read.found);
    const trouble = make("div");
    const save = make("button", { class: "main" }, "Save");
    const undo = isThere && button("Return to the default definition", undefine, { class: "destroys" });
    const acts = mayDefine
      ? make("div", { class: "row" }, save, button("Read it again", load), undo)
      : notPermitted(session, "to change it", "define");
    const fields = make("fieldset", { class: "bare", disabled: !mayDefine }, editor.element);
    const form = make("form", { novalidate: true }, fields, trouble, acts);
    const about = isThere ? null : make("p", {}, "The board ", nameOf(board), " is not there yet: saving declares it.");

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      trouble.replaceChildren();
      form.querySelectorAll("[aria-invalid]").forEach((control) => blame(control));
      save.disabled = true;
      try {
        const headers = read.tag ? { "If-Match": read.tag } : {};
        const { found } = await askTagged("PUT", target, { body: editor.read(), headers });
        const words = changes(read.found, found);
        await load();
        say(`The definition is saved: ${words}.`);
        place.querySelector("form .main")?.focus();
      } catch (error) {
        save.disabled = false;
        if (!(error instanceof Blamed)) tell(error);
      }
    });

    /** Say what is wrong at its field, if it is of one. */
    function tell(error) {
      if (error.pointer) {
        const control = editor.find(parts(error.pointer));
        if (document.getElementById(`${control.id}-message`)) blame(control, seen(error.detail));
        else trouble.append(problem(error));
        control.focus();
      } else {
        trouble.replaceChildren(problem(error));
        if (error.status === 412) trouble.append(make("p", {}, "What you have changed here is not saved."));
      }
    }
    return make("div", {}, about, form);
  }

  function undefine() {
    const about = make("p", {}, "Its own rules are forgotten; entries stay. This cannot be undone.");
    const act = async () => {
      await ask("DELETE", target);
      await load();
      return `The board ${seen(board)} has the default definition.`;
    };
    confirm("Return to the default definition?", about, "Return to the default", act, { destroys: true });
  }

  load();
}

/** What differs between two definitions, in words. */
function changes(before, after) {
  const differing = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  const told = (value) => (value === undefined ? "nothing" : seen(JSON.stringify(value)));
  return differing.map((name) => `${name}: ${told(before[name])} → ${told(after[name])}`).join(", ") || "nothing changed";
}
