// What the feed of a board brings, over Node's own WebSocket and EventSource: `node live.mjs URL` prints a line for each
// event, {"client", "event", "data", "id"}, and for the end of the WebSocket its code.
const [where] = process.argv.slice(2);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const socket = new WebSocket(where.replace("http", "ws"), "laurels.v1");
socket.onmessage = ({ data }) => print({ client: "WebSocket", ...JSON.parse(data) });
socket.onclose = ({ code }) => print({ client: "WebSocket", code });

const events = new EventSource(where);
for (const event of ["page", "change"]) {
  events.addEventListener(event, ({ data, lastEventId }) =>
    print({ client: "EventSource", event, data: JSON.parse(data), id: lastEventId }),
  );
}
