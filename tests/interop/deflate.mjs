// npm `ws` as a client that compresses, of our echo server with --deflate PRESET: deflate.mjs PORT PRESET
// deflate.py is its twin.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const url = `ws://127.0.0.1:${process.argv[2]}/`;
const lowMemory = { default: false, "low-memory": true }[process.argv[3]];
assert.notEqual(lowMemory, undefined);

async function open(offer) {
  const ws = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...offer }, maxPayload: 64 << 20 });
  const [[response]] = await Promise.all([once(ws, "upgrade"), once(ws, "open")]);
  return [ws, response.headers["sec-websocket-extensions"]];
}

async function close(ws) {
  const closed = once(ws, "close");
  ws.close(1000);
  assert.equal((await closed)[0], 1000);
}

// The header that the server should answer with, and how far it may look back into earlier messages.
function answerTo(offer) {
  const noServer = offer.serverNoContextTakeover || lowMemory;
  const noClient = offer.clientNoContextTakeover || lowMemory;
  const bits = Math.min(offer.serverMaxWindowBits ?? 15, lowMemory ? 12 : 15);
  const answer = ["permessage-deflate"];
  if (noServer) answer.push("server_no_context_takeover");
  if (noClient) answer.push("client_no_context_takeover");
  if (offer.serverMaxWindowBits || lowMemory) answer.push(`server_max_window_bits=${bits}`);
  const clientBits = offer.clientMaxWindowBits || 15;
  if (clientBits < 15) answer.push(`client_max_window_bits=${clientBits}`);
  return [answer.join("; "), noServer ? 0 : 1 << bits];
}

// Sends the pieces as the fragments of one message; how long the echo is on the wire.
async function echo(ws, ...pieces) {
  const answer = once(ws, "message");
  const before = ws._socket.bytesRead;
  pieces.forEach((piece, i) => ws.send(piece, { fin: i === pieces.length - 1 }));
  const [data, isBinary] = await answer;
  assert.equal(isBinary, typeof pieces[0] !== "string");
  assert.ok(data.equals(Buffer.concat(pieces.map((piece) => Buffer.from(piece)))));
  return ws._socket.bytesRead - before;
}

async function echoes(ws) {
  const noise = Array.from({ length: 15 }, () => randomBytes(70_000));
  for (const pieces of [["Größe: 😀"], [""], ["text ".repeat(100)], [Buffer.alloc(0)], [randomBytes(300)],
    [randomBytes(1 << 20)], ["x".repeat(1 << 20)], ["frag", "", "mén", "ted".repeat(1000)], noise, ["", ""], [""],
    [Buffer.alloc(0)], ["text ".repeat(100)]]) {
    await echo(ws, ...pieces);
  }
}

function ok(name) {
  console.log(`ok  ${name}`);
}

const noServer = { serverNoContextTakeover: true }, noClient = { clientNoContextTakeover: true };
for (const offer of [{}, noServer, noClient, { ...noServer, ...noClient }, { clientMaxWindowBits: false },
  ...[9, 10, 11, 12, 15].map((serverMaxWindowBits) => ({ serverMaxWindowBits })),
  ...[9, 10, 11, 12, 15].map((clientMaxWindowBits) => ({ clientMaxWindowBits })),
  { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  { ...noServer, ...noClient, serverMaxWindowBits: 10, clientMaxWindowBits: 9 }]) {
  const [answer, window] = answerTo(offer);
  const [ws, seen] = await open(offer);
  assert.equal(seen, answer);
  ok(`${JSON.stringify(offer)} is answered: ${answer}`);
  await echoes(ws);
  ok("    all kinds of messages come back");
  for (const length of [200, 2000]) {
    // A compressor looks back nearly as far as its window is wide.
    const short = length < window / 2;
    const [low, high] = short ? [0, 0.25] : [0.5, 0.9];
    const message = randomBytes(length / 2).toString("hex");
    await echo(ws, message);
    for (let i = 1; i < 50; i++) {
      const onWire = await echo(ws, message);
      assert.ok(low * length < onWire && onWire < high * length, `${length} bytes became ${onWire}`);
    }
    ok(`    ${length} bytes, repeated, ${short ? "shrink" : "are compressed alike"}`);
  }
  await close(ws);
}

// No compressor keeps a window of 256 bytes.
const [ws, seen] = await open({ serverMaxWindowBits: 8 });
assert.equal(seen, undefined);
await echoes(ws);
ok("a window of 8 bits is declined");
await close(ws);
