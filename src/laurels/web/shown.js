// Scores, times, names and metadata as the page shows them, by the rules of the page that the service writes, but with
// the digits and times of the reader.

const UNITS = { us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9 };
const LONGEST = 1e15;
const PICTURE = /^https:\/\/([a-z0-9.-]+)(?::443)?(?:[/?#][!-[\]-~]*)?$/i;
const point = new Intl.NumberFormat().formatToParts(0.5).find((part) => part.type === "decimal").value;

/** Make an element; properties with no value are left out. Text is only ever text. */
export function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) if (value) element.setAttribute(name, value);
  element.append(...content.filter((each) => each !== null));
  return element;
}

export function formatNumber(value, decimals) {
  if (Math.abs(value) >= LONGEST) return value.toExponential(5).replace(/\.?0+e/, "e").replace(".", point);
  if (!decimals && value && Math.abs(value) < 1e-6) return String(value).replace(".", point);
  const digits = decimals ? { minimumFractionDigits: decimals, maximumFractionDigits: decimals } : { maximumFractionDigits: 20 };
  return new Intl.NumberFormat(undefined, { ...digits, roundingMode: "halfEven" }).format(value);
}

/** A score as text, as `display` has it: the data of the page. */
export function formatScore(score, { format, unit, decimals }) {
  if (format === "duration" && Math.abs(score) < LONGEST) return formatDuration(score, UNITS[unit ?? "s"], decimals);
  return formatNumber(score, decimals) + (unit && format !== "duration" ? `\u00a0${unit}` : "");
}

function formatDuration(score, unit, decimals) {
  const digits = Number(decimals ?? { 1: 6, 1000: 3 }[unit] ?? (Number.isInteger(score) ? 0 : 3));
  const ticks = roundEven((Math.abs(score) * unit * 10 ** digits) / 1e6);
  const whole = Math.floor(ticks / 10 ** digits);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = new Intl.NumberFormat(undefined, { minimumIntegerDigits: 2 });
  const head = hours ? `${formatNumber(hours)}:${two.format(minutes)}` : formatNumber(minutes);
  const tail = new Intl.NumberFormat(undefined, { minimumIntegerDigits: digits || 1, useGrouping: false });
  return `${score < 0 ? "-" : ""}${head}:${two.format(whole % 60)}${digits ? point + tail.format(ticks % 10 ** digits) : ""}`;
}

function roundEven(value) {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** A name apart from what is around it; what nobody would see is written out. */
export function nameOf(name) {
  const isSeen = /[^\p{C}\p{Z}]/u.test(name);
  const code = (one) => (one === " " ? "\u2423" : `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);
  return make("bdi", {}, isSeen ? name : name.replace(/./gsu, code));
}

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
  const utc = { timeZone: "UTC" };
  if (/^\d+-\d\d-\d\d$/.test(text)) return new Date(text).toLocaleDateString(undefined, { ...utc, dateStyle: "medium" });
  if (/^\d+-\d\d$/.test(text)) return new Date(text).toLocaleDateString(undefined, { ...utc, month: "long", year: "numeric" });
  if (/T\d\d:\d\dZ$/.test(text)) return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return null; // a week has a number
}

/** Write the numbers and times of a part of the page for its reader. */
export function localize(part, display) {
  for (const each of part.querySelectorAll("data")) {
    const value = Number(each.value);
    each.textContent = each.className === "score" ? formatScore(value, display) : formatNumber(value);
  }
  for (const each of part.querySelectorAll("td.rank span")) each.textContent = formatNumber(Number(each.textContent.replace(/\D/g, "")));
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
  for (const each of part.querySelectorAll("[data-end]")) each.textContent = formatScore(Number(each.dataset.end), display);
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
  const host = typeof address === "string" && PICTURE.exec(address)?.[1].toLowerCase();
  const isAllowed = hosts.some((each) => host && (each === host || (each.startsWith("*.") && host.endsWith(each.slice(1)))));
  if (!isAllowed) return make("span", { class: "avatar" });
  const image = { class: "avatar", src: address, width: "32", height: "32", loading: "lazy" };
  const picture = make("img", image);
  picture.alt = "";
  return picture;
}
