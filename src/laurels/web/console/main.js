// The console: signing in, and which view is shown. The address has the view and the board, never the key.

import { Session, ask, signIn, signOut, whenLost } from "./api.js";
import { showAudit } from "./audit.js";
import { showBoard } from "./board.js";
import { showBoards } from "./boards.js";
import { make, notPermitted, problem, say, seen } from "./dom.js";
import { showFigures } from "./figures.js";
import { showKeys } from "./keys.js";

const main = document.querySelector("main");
const nav = document.querySelector("nav");
const gate = document.getElementById("sign-in");
const entry = document.getElementById("key");
const trouble = document.getElementById("sign-in-trouble");

const VIEWS = {
  boards: { title: "Boards", show: showBoards },
  keys: { title: "Keys", scope: "admin", show: showKeys },
  audit: { title: "Audit log", scope: "admin", show: showAudit },
  figures: { title: "Figures", scope: "metrics", show: showFigures },
};

let session = null;
let left = new AbortController();

/** Show the view of the address; its `signal` ends with it. */
function show() {
  left.abort();
  left = new AbortController();
  document.querySelector("dialog")?.close();
  say("");
  const [name, ...parts] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const isBoard = name === "board" && parts[0];
  const view = isBoard ? VIEWS.boards : VIEWS[name] || VIEWS.boards;
  for (const link of nav.querySelectorAll("a")) {
    if (link.textContent === view.title) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = isBoard ? seen(parts[0]) : view.title;
  document.title = `${title} - Laurels`;
  const heading = make("h1", { tabindex: "-1" }, title);
  main.replaceChildren(heading);
  if (view.scope && !session.may(view.scope)) {
    main.append(notPermitted(session, `the view "${view.title}"`, view.scope));
  } else {
    const place = make("div");
    main.append(place);
    if (isBoard) showBoard(place, session, parts[0], parts[1], left.signal);
    else view.show(place, session, left.signal);
  }
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function enter(found) {
  session = found;
  entry.value = "";
  gate.hidden = true;
  main.hidden = false;
  document.getElementById("bar").hidden = false;
  nav.replaceChildren(...Object.entries(VIEWS).map(([name, { title }]) => make("a", { href: `#/${name}` }, title)));
  const on = session.patterns.includes("*") ? "all boards" : session.patterns.map(seen).join(", ");
  const until = session.expires ? `, until ${new Date(session.expires).toLocaleString()}` : "";
  document.getElementById("who").textContent =
    `${seen(session.who)}: ${session.scopes.join(", ") || "no scope"} on ${on}${until}`;
  document.getElementById("sign-out").hidden = session.who === "anybody";
  show();
}

function leave(words, isTrouble = false) {
  signOut();
  session = null;
  left.abort();
  document.querySelector("dialog")?.close();
  main.replaceChildren();
  main.hidden = true;
  document.getElementById("bar").hidden = true;
  document.title = "Console - Laurels";
  gate.hidden = false;
  trouble.replaceChildren(...(isTrouble ? [problem(words)] : []));
  say(isTrouble ? "" : words);
  entry.focus();
}

async function tryKey() {
  try {
    const text = entry.value;
    if (!text.trim()) throw new Error("Enter a key: without one there is nothing to be seen here.");
    enter(await signIn(text));
    trouble.replaceChildren();
  } catch (error) {
    trouble.replaceChildren(problem(error));
    entry.focus();
  }
}

gate.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  tryKey();
});
document.getElementById("sign-out").addEventListener("click", () => leave("Signed out: the key is forgotten."));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address behind # is the view
  (session ? main : gate).querySelector("h1").focus();
});
addEventListener("hashchange", () => session && show());
addEventListener("pageshow", ({ persisted }) => persisted && leave(""));
whenLost((error) => session && leave(error, true));

try {
  const found = new Session(await ask("GET", "-/whoami"));
  if (found.who === "anybody") enter(found);
  else leave("");
} catch (error) {
  leave(error, true);
}
