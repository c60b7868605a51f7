// Scores, times, names and metadata as the page shows them, by the rules of the page that the service writes, but with
// the digits and times of the reader.

import { formatNumber, formatScore, make, nameOf } from "./text.js";

export { formatNumber, formatScore, make, nameOf };

const PICTURE = /^https:\/\/([a-z0-9.-]+)(?::443)?(?:[/?#][!-[\]-~]*)?$/i;

/** Names as a list, in words. */
export function listOf(names) {
  const parts = new Intl.ListFormat("en").formatToParts(names);
  return parts.map(({ type, value }) => (type === "element" ? nameOf(value) : value));
}

/** A time, whole, or short as a day's if it was today. */
export function formatTime(time) {
  const isToday = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(undefined, isToday ? { timeStyle: "short" } : { dateStyle: "medium" });
}

function formatPeriod(text) {
  const form = [
    [/^\d+-\d\d-\d\d$/, { timeZone: "UTC", dateStyle: "medium" }],
    [/^\d+-\d\d$/, { timeZone: "UTC", month: "long", year: "numeric" }],
    [/T\d\d:\d\dZ$/, { dateStyle: "medium", timeStyle: "short" }],
  ].find(([like]) => like.test(text)); // none for a week, which has a number
  return form ? new Date(text).toLocaleString(undefined, form[1]) : null;
}

/** Write the numbers and times of a part of the page for its reader. */
export function localize(part, display) {
  for (const each of part.querySelectorAll("data")) {
    const value = Number(each.value);
    each.textContent = each.className === "score" ? formatScore(value, display) : formatNumber(value);
  }
  for (const each of part.querySelectorAll("td.rank span")) {
    each.textContent = formatNumber(Number(each.textContent.replace(/\D/g, "")));
  }
  for (const each of part.querySelectorAll("time")) {
    const time = new Date(each.dateTime);
    if (each.parentElement.className !== "time") each.textContent = formatPeriod(each.dateTime) ?? each.textContent;
    else Object.assign(each, { textContent: formatTime(time), title: time.toLocaleString() });
  }
  for (const each of part.querySelectorAll(".flag")) each.replaceWith(flagOf(each.title));
  for (const each of part.querySelectorAll("[data-low]")) {
    const { low, high, count } = each.dataset;
    const ends = [low, high].map((end) => formatScore(Number(end), display)).join(" – ");
    each.firstElementChild.textContent = `${ends}: ${formatNumber(Number(count))}`;
  }
  for (const each of part.querySelectorAll("[data-end]")) {
    each.textContent = formatScore(Number(each.dataset.end), display);
  }
}

/** What a field of the metadata has. */
export function fieldOf(value) {
  if (typeof value === "number") return make("data", { value: `${value}` }, formatNumber(value));
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? nameOf(value) : null;
}

/** Whether flags can be seen: where there is no picture of one, its two halves stand side by side. */
const hasFlags = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  return pen.measureText("\u{1f1e9}\u{1f1ea}").width < 1.5 * pen.measureText("\u{1f1e9}").width;
})();

/** A country's flag, of its two letters, or those. */
export function flagOf(code) {
  if (!/^[a-z]{2}$/i.test(code)) return null;
  const letters = code.toUpperCase();
  const flag = [...letters].map((letter) => String.fromCodePoint(0x1f1a5 + letter.charCodeAt())).join("");
  const words = { role: "img", "aria-label": letters, title: letters, lang: "zxx" };
  return make("span", { class: hasFlags ? "flag" : "flag letters", ...words }, hasFlags ? flag : letters);
}

/** A player's picture, if it is from one of these hosts. */
export function avatarOf(address, hosts) {
  const host = (typeof address === "string" && PICTURE.exec(address)?.[1].toLowerCase()) || "";
  const fits = (each) => each === host || (each.startsWith("*.") && host.endsWith(each.slice(1)));
  if (!hosts.some(fits)) return make("span", { class: "avatar" });
  const image = { class: "avatar", src: address, width: "32", height: "32", loading: "lazy" };
  const picture = make("img", image);
  picture.alt = "";
  return picture;
}
