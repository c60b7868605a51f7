// Scores and names as text, for the page and the widget.

const UNITS = { us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9 };
const LONGEST = 1e15;
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
  const isTiny = !decimals && value && Math.abs(value) < 1e-6;
  if (isTiny) return `${value}`.replace(/e-(\d)$/, "e-0$1").replace(".", point);
  const most = { maximumFractionDigits: decimals || 20 };
  const digits = decimals ? { ...most, minimumFractionDigits: decimals } : most;
  return new Intl.NumberFormat(undefined, { ...digits, roundingMode: "halfEven" }).format(value);
}

/** A score as text, as `display` has it: the data of the page. */
export function formatScore(score, { format, unit, decimals }) {
  if (format === "duration" && Math.abs(score) < LONGEST) return formatDuration(score, UNITS[unit ?? "s"], decimals);
  return formatNumber(score, decimals) + (unit ? `\u00a0${unit}` : "");
}

function formatDuration(score, unit, decimals) {
  const digits = Number(decimals ?? { 1: 6, 1000: 3 }[unit] ?? (Number.isInteger(score) ? 0 : 3));
  const ticks = roundEven((Math.abs(score) * unit * 10 ** digits) / 1e6);
  const whole = Math.floor(ticks / 10 ** digits);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = new Intl.NumberFormat(undefined, { minimumIntegerDigits: 2 });
  const head = hours ? `${formatNumber(hours)}:${two.format(minutes)}` : formatNumber(minutes);
  const tail = new Intl.NumberFormat(undefined, { minimumIntegerDigits: digits || 1, useGrouping: false });
  const fraction = digits ? point + tail.format(ticks % 10 ** digits) : "";
  return `${score < 0 ? "-" : ""}${head}:${two.format(whole % 60)}${fraction}`;
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
