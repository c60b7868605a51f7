// What every view is made of: elements, tables, forms, messages, questions. Text is only ever text, never markup.

/** Make an element. Properties that begin with "on" are listeners; null and false are left out, also of the content. */
export function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...content.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** The name of a board or of somebody, as it can be seen: what is invisible or turns the text around is escaped. */
export function seen(name) {
  return name.replace(UNSEEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** The same as an element of its own, so that its direction is its own as well. */
export function nameOf(name) {
  return make("bdi", { class: "name" }, seen(name));
}

export const format = new Intl.NumberFormat(undefined, { maximumFractionDigits: 20 }).format;

export function formatTime(text) {
  const time = make("time", { datetime: text }, new Date(text).toLocaleString());
  time.title = text;
  return time;
}

let counted = 0;

/** A label with its control and room for a message; `about` says more. */
export function labelled(words, control, about = "") {
  const id = `control-${(counted += 1)}`;
  control.id = id;
  const hint = about ? make("span", { class: "hint", id: `${id}-about` }, about) : null;
  const message = make("span", { class: "message", id: `${id}-message` });
  control.setAttribute("aria-describedby", `${hint ? `${id}-about ` : ""}${id}-message`);
  const label = make("label", { for: id }, words);
  const row = control.type === "checkbox" ? [make("span", { class: "check" }, control, label)] : [label, control];
  return make("div", { class: "field" }, row, hint, message);
}

/** Say at a control what is wrong with it, or with no words that nothing is. */
export function blame(control, words = "") {
  document.getElementById(`${control.id}-message`).textContent = words;
  if (words) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/**
 * A table in a frame that can be scrolled by keys as well. `rows` are lists of cells. The roles stand here because a
 * phone shows rows as blocks, which would be no table any more for who hears it.
 */
export function table(caption, heads, rows) {
  const columns = heads.map((each) => make("th", { scope: "col", role: "columnheader" }, each));
  const whole = make(
    "table",
    { role: "table" },
    make("caption", {}, caption),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, columns)),
    make("tbody", { role: "rowgroup" }, rows.map((cells) => row(cells, heads))),
  );
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, whole);
}

export function row([first, ...others], heads) {
  const cells = others.map((cell, place) => make("td", { role: "cell", "data-head": heads[place + 1] }, cell));
  return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, first), cells);
}

export function button(words, act, properties = {}) {
  return make("button", { type: "button", onclick: act, ...properties }, words);
}

const said = document.getElementById("said");

/** Say what an act came to, or with no words nothing: seen at the foot of the page, and read aloud. */
export function say(words) {
  said.textContent = "";
  if (words) setTimeout(() => (said.textContent = words)); // what has changed in a moment of its own is read aloud
}

/** An error as the service told it, at the place where it arose. */
export function problem(error) {
  const title = error.status ? `${error.status} ${error.title}` : "No answer";
  return make(
    "div",
    { class: "problem", role: "alert" },
    error.status === undefined ? null : make("strong", {}, title),
    make("p", {}, seen(error.detail || error.message)),
    error.parameter ? make("p", {}, "Parameter: ", make("code", {}, error.parameter)) : null,
  );
}

/** What a key has no right to, and which scope it would take. */
export function notPermitted(session, what, scope) {
  return make(
    "p",
    { class: "not-permitted" },
    `Not permitted to ${seen(session.who)}: ${what} takes the scope `,
    make("code", {}, scope),
    ".",
  );
}

/** Fill a place by what is awaited; say meanwhile that it loads, and in its place what went wrong. */
export async function fill(place, load) {
  place.setAttribute("aria-busy", "true");
  try {
    place.replaceChildren(await load());
  } catch (error) {
    place.replaceChildren(problem(error));
  }
  place.removeAttribute("aria-busy");
}

/**
 * Ask in a dialog, and act once that is confirmed. It stays open, and shows what went wrong, until `act` succeeds with
 * what is to be said. The focus goes back to where it was, or to `after` if that is gone.
 */
export function confirm(title, content, words, act, { destroys = false, after = null } = {}) {
  const came = document.activeElement;
  const trouble = make("div");
  const yes = make("button", { type: "submit", class: destroys ? "destroys" : "main" }, words);
  const form = make("form", { method: "dialog" }, make("h2", { id: "dialog-title" }, title), content, trouble);
  form.append(make("div", { class: "row" }, yes, button("Cancel", () => dialog.close())));
  const dialog = make("dialog", { "aria-labelledby": "dialog-title" }, form);
  form.noValidate = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (yes.disabled) return;
    yes.disabled = true;
    trouble.replaceChildren();
    try {
      const done = await act();
      dialog.close();
      say(done);
    } catch (error) {
      if (!(error instanceof Blamed)) trouble.replaceChildren(problem(error));
    }
    yes.disabled = false;
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    const back = came?.isConnected ? came : after?.();
    (back || document.querySelector("main h1"))?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  (form.querySelector("input, select") || form.querySelector(".row button:last-child")).focus();
}

/** What was wrong has been said at its control. */
export class Blamed extends Error {}

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** The number that is typed in a control; raises Blamed, and says why there, for one that would not be sent as typed. */
export function readNumber(control) {
  const text = control.value.trim();
  const number = Number(text);
  let wrong = "";
  if (!NUMBER.test(text)) wrong = "A number is needed, such as 42 or -1.5.";
  else if (!Number.isFinite(number)) wrong = "The number is too large.";
  else if (/^-?[0-9]+$/.test(text) && BigInt(text) !== BigInt(number)) {
    wrong = `The number is too long: it would become ${BigInt(number)}.`;
  }
  blame(control, wrong);
  if (wrong) {
    control.focus();
    throw new Blamed(wrong);
  }
  return number;
}
