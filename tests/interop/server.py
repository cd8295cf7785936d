#!/usr/bin/env python3
"""Python `websockets` as the server that our client is tested with; server.mjs is its twin.

server.py PORT [deflate|small]

With `deflate` it compresses as the client offers it; with `small` it keeps no context, either way, nor windows of more
than 10 bits itself and 9 bits there.

    /echo            each message as it came
    /watched         the same; its Close is kept for /last-close
    /fragments       each message back in fragments, an empty one among them
    /ping            pings; when the right pong is here, says so in a text message
    /close/CODE/WHY  closes at once with that code and reason
    /wire            answers each message with its length on the wire
    /protocol        only knows the subprotocol "superchat"; sends what was chosen
    /raw/HEX         puts these bytes on the wire; the Close that answers them is kept too
    /last-close      sends "CODE REASON" of the Close that was kept, "none" when there was none
    /refuse          403 with the body "not you"
"""

import queue
import sys

from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory as Deflate
from websockets.sync.server import serve

EXTENSIONS = {
    "deflate": [Deflate()],
    "small": [Deflate(server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=10,
                      client_max_window_bits=9)],
}

closes = queue.Queue()


def handle(ws):
    _, what, *rest = ws.request.path.split("/")
    try:
        answer(ws, what, rest)
    except ConnectionClosed:
        pass  # with a code other than 1000 and 1001
    if what in ("watched", "raw"):
        closes.put(ws.protocol.close_rcvd)


def answer(ws, what, rest):
    if what in ("echo", "watched"):
        for message in ws:
            ws.send(message)
    elif what == "fragments":
        for message in ws:
            third = len(message) // 3
            ws.send(iter([message[:third], message[:0], message[third : 2 * third], message[2 * third :]]))
    elif what == "ping":
        if ws.ping(b"are you there?").wait(10):
            ws.send("you are there")
    elif what == "close":
        ws.close(int(rest[0]), rest[1])
    elif what == "wire":
        lengths, decode = [], ws.protocol.extensions[0].decode
        ws.protocol.extensions[0].decode = lambda frame, **how: lengths.append(len(frame.data)) or decode(frame, **how)
        for _ in ws:
            ws.send(str(lengths[-1]))
    elif what == "protocol":
        ws.send(str(ws.subprotocol))
    elif what == "raw":
        ws.socket.sendall(bytes.fromhex(rest[0]))
        ws.recv(timeout=10)
    elif what == "last-close":
        got = closes.get(timeout=10)
        ws.send(f"{int(got.code)} {got.reason}" if got else "none")


def refuse(connection, request):
    if request.path == "/refuse":
        return connection.respond(403, "not you")


with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None,
           extensions=EXTENSIONS[sys.argv[2]] if len(sys.argv) > 2 else None, ping_interval=None, max_size=64 << 20,
           subprotocols=["superchat"], select_subprotocol=lambda _, offered: "superchat" if "superchat" in offered else None,
           process_request=refuse) as server:
    server.serve_forever()
