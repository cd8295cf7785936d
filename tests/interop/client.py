#!/usr/bin/env python3
"""Python `websockets` as a client of our echo server: client.py PORT"""

import http.client
import os
import sys
import threading

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_any

port = int(sys.argv[1])
url = f"ws://127.0.0.1:{port}/any/path?it=echoes"


def connect(**options):
    # Compression is for deflate.py. Own pings would only disturb.
    return connect_any(url, compression=None, ping_interval=None, max_size=64 << 20, **options)


def check(name, condition):
    if not condition:
        sys.exit(f"FAILED  {name}")
    print(f"ok  {name}")


def echoes(name, ws, message, sent=None):
    ws.send(message if sent is None else sent)
    check(name, ws.recv(timeout=30) == message)


def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.getheader("Content-Type", ""), response.read()


def closed_after(raw, ws):
    """The code with which the server closes after these bytes on the wire."""
    ws.socket.sendall(raw)
    try:
        ws.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd and closed.rcvd.code


with connect() as ws:
    echoes("text", ws, "Größe: 😀")
    echoes("empty text", ws, "")
    echoes("binary", ws, bytes(range(256)))
    echoes("empty binary", ws, b"")
    echoes("1 MiB of binary", ws, os.urandom(1 << 20))
    echoes("1 MiB of text", ws, "€" * ((1 << 20) // 3))
    pieces = ["frag", "", "mén", "ted"]
    echoes("fragmented text", ws, "".join(pieces), iter(pieces))
    pieces = [os.urandom(70_000) for _ in range(15)]
    echoes("fragmented binary, 1 MiB", ws, b"".join(pieces), iter(pieces))
    check("ping is answered", ws.ping(b"payload").wait(10))
    check("empty ping is answered", ws.ping(b"").wait(10))

    # A ping between the fragments of a message is answered before the message ends.
    answered = threading.Event()

    def fragments():
        yield "before "
        if ws.ping(b"between").wait(10):
            answered.set()
        yield "after"

    echoes("message around a ping", ws, "before after", fragments())
    check("ping between fragments is answered at once", answered.is_set())

with connect() as ws:
    ws.close(4001, "adiós")
    received = ws.protocol.close_rcvd
    check("close code comes back", received is not None and received.code == 4001)
with connect() as ws:
    ws.close()
    check("normal closure", ws.close_code == 1000 and ws.protocol.close_rcvd_then_sent is False)

with connect() as ws:
    check("1007 after invalid UTF-8", closed_after(b"\x81\x82\0\0\0\0\xc3\x28", ws) == 1007)
with connect() as ws:
    check("1002 after an unmasked frame", closed_after(b"\x81\x01a", ws) == 1002)
with connect() as ws:
    check("1002 after a reserved opcode", closed_after(b"\x83\x80\0\0\0\0", ws) == 1002)
with connect() as ws:
    length = ((64 << 20) + 1).to_bytes(8, "big")
    check("1009 at the header of a message over the limit", closed_after(b"\x82\xff" + length + bytes(4), ws) == 1009)

for offered, chosen in [(["chat"], "chat"), (["superchat"], "superchat"), (["mqtt", "superchat"], "superchat"),
                        (["mqtt"], None), (None, None)]:
    with connect(subprotocols=offered) as ws:
        check(f"subprotocol of {offered} is {chosen}", ws.subprotocol == chosen)
        echoes("    and it works", ws, "hello")

with connect(origin=f"http://127.0.0.1:{port}") as ws:
    echoes("same origin is accepted", ws, "hello")
for origin in ["http://example.com", f"http://localhost:{port}", f"http://127.0.0.1:{port + 1}", "null"]:
    try:
        with connect(origin=origin):
            status = 101
    except InvalidStatus as error:
        status = error.response.status_code
    check(f"origin {origin} is refused with 403", status == 403)

status, kind, page = get("/")
check("GET / is the page", status == 200 and kind.startswith("text/html") and b"WebSocket" in page)
check("GET of another path is 404", get("/nothing")[0] == 404)
