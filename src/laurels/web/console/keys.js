// The keys of the access file: what each may do, and revoking one.

import { ask, path, query } from "./api.js";
import { button, confirm, fill, formatTime, make, nameOf, seen, table } from "./dom.js";

export function showKeys(place, session) {
  const list = make("div");
  place.append(
    make("p", {}, "A key is made where the access file is: ", make("code", {}, "laurels keys create"), "."),
    list,
  );
  const load = () => fill(list, show);

  async function show() {
    const keys = [];
    for (let after = ""; after !== null; ) {
      const found = await ask("GET", `-/keys${query({ after })}`);
      keys.push(...found.keys);
      after = found.next;
    }
    if (!keys.length) return make("p", {}, "There are no keys: the service has no access file, or there are none in it.");
    return table("Keys", ["Name", "May", "On boards", "Expires", "Act"], keys.map(cells));
  }

  function cells({ name, scopes, boards, expires }) {
    const own = session.who === `key:${name}`;
    const until = expires ? formatTime(expires) : "never";
    const over = expires && new Date(expires) < Date.now();
    return [
      make("span", {}, nameOf(name), own ? " (this one)" : ""),
      scopes.join(", ") || "nothing",
      boards.map(seen).join(", "),
      over ? make("span", {}, until, " (over)") : until,
      button("Revoke", () => revoke(name, own), { class: "destroys", "aria-label": `Revoke ${seen(name)}` }),
    ];
  }

  function revoke(name, own) {
    const about = make(
      "div",
      {},
      make("p", {}, "It is refused at once, and taken out of the access file. This cannot be undone."),
      own ? make("p", {}, make("strong", {}, "You are signed in with this key: you will be signed out.")) : null,
    );
    const act = async () => {
      await ask("DELETE", path("-", "keys", name));
      await load();
      return `The key ${seen(name)} is revoked.`;
    };
    confirm(`Revoke the key ${seen(name)}?`, about, "Revoke", act, { destroys: true });
  }

  load();
}
