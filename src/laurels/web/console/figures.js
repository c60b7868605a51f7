// Live figures: rates and times from the counters of /-/metrics, read every two seconds, drawn as lines.

import { askText } from "./api.js";
import { lineChart } from "./chart.js";
import { format, make, problem, table } from "./dom.js";

const SECONDS = 2;
const POINTS = 60;
const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const TOTALS = { laurels_boards: "Boards", laurels_periods: "Periods", laurels_entries: "Entries", laurels_hidden: "Hidden names" };

export function showFigures(place, session, signal) {
  const charts = {
    requests: lineChart("Requests", "a second", ["all"], POINTS),
    submits: lineChart("Submits", "a second", ["taken"], POINTS),
    errors: lineChart("Errors", "a second", ["4xx", "5xx"], POINTS),
    latency: lineChart("Time to answer", "ms", ["mean", "99th percentile, at most"], POINTS),
    connections: lineChart("Open connections and files", "of the service", ["open"], POINTS),
  };
  const totals = make("div");
  const trouble = make("div");
  place.append(
    trouble,
    make("p", { class: "hint" }, `Read every ${SECONDS} seconds; the last ${(POINTS * SECONDS) / 60} minutes are drawn.`),
    make("div", { class: "charts" }, Object.values(charts).map((each) => each.element)),
    totals,
  );
  let before = null;

  async function beat() {
    try {
      const now = { ...summarize(parse(await askText("-/metrics", "text/plain"))), at: performance.now() };
      trouble.replaceChildren();
      if (before) draw(before, now);
      before = now;
      const rows = Object.entries(TOTALS).filter(([name]) => name in now.gauges);
      const cells = rows.map(([name, title]) => [title, format(now.gauges[name])]);
      totals.replaceChildren(cells.length ? table("There are", ["What", "How many"], cells) : "");
    } catch (error) {
      before = null;
      trouble.replaceChildren(problem(error));
    }
    if (!signal.aborted) timer = setTimeout(beat, SECONDS * 1000);
  }

  function draw(old, now) {
    const seconds = (now.at - old.at) / 1000;
    const rate = (name) => Math.max(0, now[name] - old[name]) / seconds;
    charts.requests.add([rate("requests")]);
    charts.submits.add([rate("submits")]);
    charts.errors.add([rate("refused"), rate("failed")]);
    const answered = now.answered - old.answered;
    const buckets = now.buckets.map(([bound, count], place) => [bound, count - (old.buckets[place]?.[1] ?? 0)]);
    const slow = buckets.find(([, count]) => count >= answered * 0.99);
    const mean = answered > 0 ? ((now.seconds - old.seconds) / answered) * 1000 : NaN;
    charts.latency.add([mean, answered > 0 && slow ? slow[0] * 1000 : NaN]);
    charts.connections.add([now.connections]);
  }

  let timer = null;
  signal.addEventListener("abort", () => clearTimeout(timer));
  beat();
}

/** The samples of a text of Prometheus: their names, labels and values. */
function* parse(text) {
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : SAMPLE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    yield { name: found[1], labels, value: found[3] === "+Inf" ? Infinity : Number(found[3]) };
  }
}

/** What is drawn, from all samples; of several workers their sum. */
function summarize(samples) {
  const found = { requests: 0, submits: 0, refused: 0, failed: 0, seconds: 0, answered: 0, connections: NaN, gauges: {} };
  const buckets = new Map();
  let [connections, files] = [NaN, NaN];
  const plus = (sum, value) => (Number.isNaN(sum) ? value : sum + value);
  for (const { name, labels, value } of samples) {
    if (name === "laurels_requests_total") {
      found.requests += value;
      if (labels.method === "POST" && labels.route.startsWith("/{board}") && labels.status < "300") found.submits += value;
      if (labels.status >= "500") found.failed += value;
      else if (labels.status >= "400") found.refused += value;
    } else if (name === "laurels_request_duration_seconds_sum") found.seconds += value;
    else if (name === "laurels_request_duration_seconds_count") found.answered += value;
    else if (name === "laurels_request_duration_seconds_bucket") {
      const bound = labels.le === "+Inf" ? NaN : Number(labels.le);
      if (!Number.isNaN(bound)) buckets.set(bound, (buckets.get(bound) ?? 0) + value);
    } else if (name === "laurels_connections") connections = plus(connections, value);
    else if (name === "process_open_fds") files = plus(files, value);
    else if (name in TOTALS) found.gauges[name] = Math.max(found.gauges[name] ?? 0, value);
  }
  found.connections = Number.isNaN(connections) ? files : connections;
  found.buckets = [...buckets].sort(([one], [other]) => one - other);
  return found;
}
