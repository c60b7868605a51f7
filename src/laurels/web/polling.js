// A board that is read again and again, or whenever Momento's Topics tell of a change: for a connection of live.js that
// has no stream. Topics come by gRPC-Web, of which a board needs so little that no SDK is loaded.

import { request } from "./request.js";

const HEARTBEAT = (3 << 3) | 2; // the tag of a message that is one
const NOW_AND_THEN = 30_000; // how often it reads if nothing is told: a message may get lost
const EARLY = 5_000; // how long before a token runs out it is given up

/** Read what all views of a connection show. */
export async function read(connection) {
  await Promise.all(connection.good.map(async (view) => {
    try {
      await readView(connection, view);
      view.say("live");
    } catch (error) {
      if (![400, 404, 422].includes(error.status)) throw error;
      view.say("refused", error);
      if (error.status === 404) return; // the name is not there, or not yet
      view.isWrong = true;
      connection.polls = 0; // the others may have a stream
    }
  }));
  connection.failures = connection.cuts = 0;
}

async function readView({ server, path, token, abort }, view) {
  const query = new URLSearchParams(view.query);
  const name = query.get("name");
  query.delete("name");
  const fields = ["rank", "place", "total", query.get("include")];
  if (name === null) query.set("include", fields.filter(Boolean).join());
  const target = name === null ? path : `${path}/${encodeURIComponent(name)}`;
  const answer = await request(new URL(`${target}?${query}`, server), token, {}, abort.signal);
  const text = await answer.text();
  if (text === view.text) return; // nothing has changed
  const found = JSON.parse(text);
  if (name === null) view.show(found, !view.text);
  else view.tell("onStanding", { ...found, previous: view.text ? JSON.parse(view.text) : null, passedBy: [] });
  view.text = text;
}

/** Read when a topic of the board tells that something has changed, at most once a second; it does not say what. */
export async function follow(topics, connection) {
  const { signal } = connection.abort;
  let isOpen = true, isDue, wake;
  const hint = () => { isDue = true; wake?.(); };
  const end = () => { isOpen = false; wake?.(); };
  const last = Date.parse(topics.expiresAt) - EARLY;
  subscribe(topics, signal, hint).then(end, end);
  while (isOpen && !(Date.now() > last)) {
    isDue = false;
    await read(connection);
    await new Promise((done) => setTimeout(done, 1_000));
    if (isOpen && !isDue) await new Promise((done) => { wake = done; setTimeout(done, NOW_AND_THEN); });
  }
}

async function subscribe({ endpoint, cache, topic, token }, signal, hint) {
  const base = endpoint.includes("://") ? endpoint : `https://web.${endpoint}`;
  const message = [...field(1, cache), ...field(2, topic)];
  const body = new Uint8Array([0, 0, 0, message.length >> 8, message.length & 255, ...message]);
  const { api_key: key } = JSON.parse(atob(token)); // as Momento's SDKs take it
  const headers = { Authorization: key, "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1" };
  const request = { method: "POST", headers, body, signal, credentials: "omit" };
  const answer = await fetch(`${base}/cache_client.pubsub.Pubsub/Subscribe`, request);
  const reader = answer.body.getReader();
  let bytes = [];
  for (let next; !(next = await reader.read()).done; ) {
    bytes.push(...next.value);
    for (let end; bytes.length >= 5; bytes = bytes.slice(end)) {
      end = 5 + new DataView(new Uint8Array(bytes).buffer).getUint32(1);
      if (bytes.length < end) break;
      if (bytes[0] === 0 && bytes[5] !== HEARTBEAT) hint();
    }
  }
}

function field(number, text) {
  const bytes = new TextEncoder().encode(text);
  const size = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return [(number << 3) | 2, ...size, ...bytes];
}
