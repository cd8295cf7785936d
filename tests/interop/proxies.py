#!/usr/bin/env python3
"""Python `websockets` as a client of our echo server, through a proxy: proxies.py KEPT_PORT CUT_PORT SERVER_PID

Behind the first port is a server that pings idle clients sooner than the proxy cuts them off, behind the second one
that does not. The first has this process id; it is killed at last.
"""

import contextlib
import http.client
import os
import signal
import sys

from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import connect as connect_any

kept_port, cut_port, server_pid = map(int, sys.argv[1:])


def connect(port=kept_port, **options):
    # Own pings would keep every connection.
    options.setdefault("compression", None)
    return connect_any(f"ws://127.0.0.1:{port}/path?query", ping_interval=None, max_size=64 << 20, **options)


def check(name, condition):
    if not condition:
        sys.exit(f"FAILED  {name}")
    print(f"ok  {name}")


def echoes(name, ws, message, sent=None):
    ws.send(message if sent is None else sent)
    check(name, ws.recv(timeout=30) == message)


def messages(ws):
    echoes("text", ws, "Größe: 😀")
    echoes("binary", ws, bytes(range(256)))
    echoes("empty binary", ws, b"")
    echoes("1 MiB of text", ws, "€" * ((1 << 20) // 3))
    echoes("16 MiB of binary", ws, os.urandom(16 << 20))
    pieces = [os.urandom(70_000) for _ in range(15)]
    echoes("fragmented binary, 1 MiB", ws, b"".join(pieces), iter(pieces))
    for index in range(1000):
        ws.send(f"message {index}")
    check("1000 messages at once", [ws.recv(timeout=30) for _ in range(1000)] == [f"message {i}" for i in range(1000)])
    check("ping is answered", ws.ping(b"payload").wait(10))


def closed_by_server(raw):
    """The code with which the server closes after these bytes on the wire."""
    with connect() as ws:
        ws.socket.sendall(raw)
        try:
            ws.recv(timeout=10)
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.code


# Both are idle until the proxy has cut the second one.
stack = contextlib.ExitStack()
kept, cut = map(stack.enter_context, (connect(), connect(cut_port)))
echoes("before the silence", kept, "here")
echoes("before the silence, without keepalive", cut, "here")

with connect(subprotocols=["mqtt", "superchat"]) as ws:
    check("subprotocol", ws.subprotocol == "superchat")
    check("no compression", not ws.protocol.extensions)
    messages(ws)
with connect(compression="deflate") as ws:
    check("compression is agreed on", [extension.name for extension in ws.protocol.extensions] == ["permessage-deflate"])
    messages(ws)

with connect() as ws:
    ws.close(4001, "adiós")
    received = ws.protocol.close_rcvd
    check("client closes, and its code comes back", received is not None and received.code == 4001)
check("server closes, 1007", closed_by_server(b"\x81\x82\0\0\0\0\xc3\x28") == 1007)
check("server closes, 1002", closed_by_server(b"\x81\x01a") == 1002)

connection = http.client.HTTPConnection("127.0.0.1", kept_port, timeout=10)
connection.request("GET", "/")
response = connection.getresponse()
check("GET / is the page", response.status == 200 and b"WebSocket" in response.read())

try:
    cut.recv(timeout=60)
except ConnectionClosedError as closed:
    check("without keepalive the proxy cuts a silent connection", closed.rcvd is None)
else:
    sys.exit("FAILED  the silent connection should be cut")
# It has been silent for as long, but for Pings.
echoes("with keepalive it lasts", kept, "still here")

os.kill(server_pid, signal.SIGKILL)
try:
    kept.recv(timeout=30)
except ConnectionClosedError as closed:
    check("the server's abrupt end is no clean close", closed.rcvd is None and closed.sent is None)
else:
    sys.exit("FAILED  the connection should be lost")
