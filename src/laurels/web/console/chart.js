// A line chart, drawn as SVG: some series over the last points in time, from zero up.

import { format } from "./dom.js";

const WIDTH = 480;
const HEIGHT = 140;
const LEFT = 56;
const BOTTOM = 16;
const SVG = "http://www.w3.org/2000/svg";

function draw(tag, properties, ...content) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

/** Return a chart for the last `most` points; `add` takes the next value of each series, NaN if there is none. */
export function lineChart(title, unit, names, most) {
  const series = names.map(() => []);
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart" });
  const legend = document.createElement("ul");
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = `${title} (${unit})`;
  legend.className = "legend";
  svg.setAttribute("aria-label", `${caption.textContent}: nothing yet`);
  figure.append(caption, svg, legend);

  function add(values) {
    values.forEach((value, place) => {
      series[place].push(value);
      if (series[place].length > most) series[place].shift();
    });
    const top = ceiling(Math.max(...series.flat().filter(Number.isFinite), 0));
    svg.replaceChildren(...grid(top), ...series.map((each, place) => draw("path", { d: way(each, top, most), class: `line-${place}` })));
    const told = names.map((name, place) => `${name} ${shown(values[place])}`);
    svg.setAttribute("aria-label", `${caption.textContent}: ${told.join(", ")}`);
    legend.replaceChildren(...told.map(item));
  }

  return { element: figure, add };
}

function item(words, place) {
  const found = document.createElement("li");
  found.className = `line-${place}`;
  found.textContent = words;
  return found;
}

const shown = (value) => (Number.isFinite(value) ? format(Number(value.toPrecision(3))) : "–");

function grid(top) {
  return [0, 0.5, 1].flatMap((share) => {
    const y = height(share * top, top);
    const label = draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, shown(share * top));
    return [draw("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y, class: "grid" }), label];
  });
}

const height = (value, top) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - 10);

/** The path of a series, interrupted where it has no value; the last value is at the right edge. */
function way(values, top, most) {
  const step = (WIDTH - LEFT) / (most - 1);
  let isDrawing = false;
  return values
    .map((value, place) => {
      const wasDrawing = isDrawing;
      isDrawing = Number.isFinite(value);
      const x = WIDTH - (values.length - 1 - place) * step;
      return isDrawing ? `${wasDrawing ? "L" : "M"}${x.toFixed(1)} ${height(value, top).toFixed(1)}` : "";
    })
    .join("");
}

/** The next number from 1, 2 or 5 and zeros that is not below. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((each) => each * power >= value) * power;
}
