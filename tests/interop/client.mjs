// npm `ws` as a client of our echo server: client.mjs PORT
// What is awaited at the top level and never comes makes Node exit with 13, so nothing is passed over.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const url = `ws://127.0.0.1:${process.argv[2]}/`;

async function open(protocols = [], options = {}) {
  const ws = new WebSocket(url, protocols, { perMessageDeflate: false, maxPayload: 64 << 20, ...options });
  await once(ws, "open");
  return ws;
}

async function closed(ws) {
  const [code, reason] = await once(ws, "close");
  return { code, reason: reason.toString() };
}

async function echoes(name, ws, message, send = () => ws.send(message)) {
  const answer = once(ws, "message");
  send();
  const [data, isBinary] = await answer;
  assert.equal(isBinary, typeof message !== "string", name);
  assert.ok(data.equals(Buffer.from(message)), name);
  ok(name);
}

function ok(name) {
  console.log(`ok  ${name}`);
}

let ws = await open();
await echoes("text", ws, "Größe: 😀");
await echoes("empty text", ws, "");
await echoes("binary", ws, randomBytes(300));
await echoes("1 MiB of binary", ws, randomBytes(1 << 20));
await echoes("1 MiB of text", ws, "x".repeat(1 << 20));
await echoes("fragmented text", ws, "fragménted", () => {
  ws.send("frag", { fin: false });
  ws.send("", { fin: false });
  ws.send("mén", { fin: false });
  ws.send("ted", { fin: true });
});
const pong = once(ws, "pong");
ws.ping("payload");
assert.equal((await pong)[0].toString(), "payload");
ok("ping is answered");

let end = closed(ws);
ws.close(4002, "see you");
assert.equal((await end).code, 4002);
ok("close code comes back");

ws = await open();
end = closed(ws);
ws.close();
assert.equal((await end).code, 1005);
ok("a Close without a code is answered by one without a code");

// Bytes that no client sends, past the library: unmasked; a masked Close with a reserved code; a lone continuation.
for (const [name, code, bytes] of [
  ["an unmasked frame", 1002, [0x81, 0x01, 0x61]],
  ["close code 1005 on the wire", 1002, [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed]],
  ["a continuation of nothing", 1002, [0x80, 0x80, 0, 0, 0, 0]],
  ["invalid UTF-8", 1007, [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff]],
]) {
  ws = await open();
  end = closed(ws);
  ws._socket.write(Buffer.from(bytes));
  assert.equal((await end).code, code, name);
  ok(`${code} after ${name}`);
}

ws = await open(["superchat"]);
assert.equal(ws.protocol, "superchat");
ok("subprotocol");
end = closed(ws);
ws.close();
await end;

const refused = new WebSocket(url, { origin: "http://example.com" });
refused.on("error", () => {});
const [, response] = await once(refused, "unexpected-response");
assert.equal(response.statusCode, 403);
ok("a foreign origin is refused with 403");
response.destroy();
