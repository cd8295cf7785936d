// npm `ws` as the server that our client is tested with: server.mjs PORT [deflate|small]
// server.py says what these are, and what each path does.
import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const DEFLATE = {
  // Says nothing about the window that the client offers to keep to.
  deflate: { clientMaxWindowBits: false },
  small: {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 10,
    clientMaxWindowBits: 9,
  },
};
const how = process.argv[3];
const closes = [];
let closeCame = () => {};
const wss = new WebSocketServer({
  noServer: true,
  perMessageDeflate: how ? { threshold: 0, ...DEFLATE[how] } : false,
  maxPayload: 64 << 20,
  handleProtocols: (offered) => offered.has("superchat") && "superchat",
});

async function handle(ws, [what, ...rest]) {
  if (what === "watched" || what === "raw") {
    ws.on("close", (code, reason) => {
      // 1005 and 1006 are no codes on the wire: `ws` says so that there was a Close without one, or none at all.
      closes.push(code === 1006 ? "none" : `${code} ${reason}`);
      closeCame();
    });
  }
  switch (what) {
    case "echo":
    case "watched":
      ws.on("message", (data, binary) => ws.send(data, { binary }));
      break;
    case "fragments":
      ws.on("message", (data, binary) => {
        const third = Math.floor(data.length / 3);
        ws.send(data.subarray(0, third), { binary, fin: false });
        ws.send("", { binary, fin: false });
        ws.send(data.subarray(third, 2 * third), { binary, fin: false });
        ws.send(data.subarray(2 * third), { binary, fin: true });
      });
      break;
    case "ping": {
      const pong = once(ws, "pong");
      ws.ping("are you there?");
      if ((await pong)[0].toString() === "are you there?") ws.send("you are there");
      ws.close(1000);
      break;
    }
    case "close":
      ws.close(Number(rest[0]), rest[1]);
      break;
    case "wire": {
      let before = ws._socket.bytesRead;
      ws.on("message", () => {
        ws.send(String(ws._socket.bytesRead - before));
        before = ws._socket.bytesRead;
      });
      break;
    }
    case "protocol":
      ws.send(ws.protocol || "None");
      break;
    case "raw":
      ws._socket.write(Buffer.from(rest[0], "hex"));
      break;
    case "last-close":
      while (closes.length === 0) await new Promise((resolve) => { closeCame = resolve; });
      ws.send(closes.shift());
      break;
  }
}

createServer()
  .on("upgrade", (request, socket, head) => {
    if (request.url === "/refuse") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nConnection: close\r\n\r\nnot you");
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => {
      ws.on("error", () => {});
      handle(ws, request.url.split("/").slice(1));
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
