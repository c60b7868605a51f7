// Momento's Topics, as far as a board needs them: gRPC-Web by fetch, which takes less than the SDK's 300 KB.

const HEARTBEAT = (3 << 3) | 2; // the tag of a message that is one

/** Subscribe to a topic of Momento by gRPC-Web, until it ends; say of each message whether something has changed. */
export async function subscribe({ endpoint, cache, topic, token }, signal, hear) {
  const base = endpoint.includes("://") ? endpoint : `https://web.${endpoint}`;
  const message = [...field(1, cache), ...field(2, topic)];
  const body = new Uint8Array([0, 0, 0, message.length >> 8, message.length & 255, ...message]);
  const headers = { Authorization: token, "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1" };
  const request = { method: "POST", headers, body, signal, credentials: "omit" };
  const answer = await fetch(`${base}/cache_client.pubsub.Pubsub/Subscribe`, request);
  const reader = answer.body.getReader();
  let bytes = [];
  for (let next; !(next = await reader.read()).done; ) {
    bytes.push(...next.value);
    for (let end; bytes.length >= 5; bytes = bytes.slice(end)) {
      end = 5 + new DataView(new Uint8Array(bytes).buffer).getUint32(1);
      if (bytes.length < end) break;
      if (bytes[0] === 0) hear(bytes[5] !== HEARTBEAT);
    }
  }
}

function field(number, text) {
  const bytes = new TextEncoder().encode(text);
  const size = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return [(number << 3) | 2, ...size, ...bytes];
}
