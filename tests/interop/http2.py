#!/usr/bin/env python3
"""Python `h2` as a client of HTTP/2 of our hyper and axum servers, by RFC 8441, with frames of `websockets`: http2.py PORT"""

import os
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.frames import Close, Frame, Opcode

port = int(sys.argv[1])
authority = f"127.0.0.1:{port}"


def check(name, condition, seen=None):
    if not condition:
        sys.exit(f"FAILED  {name}: {seen!r}")
    print(f"ok  {name}")


def frame(opcode, data, fin=True, mask=True):
    return Frame(opcode, data, fin).serialize(mask=mask)


class Stream:
    """What came on a stream, and how it ended."""

    def __init__(self):
        self.headers = None
        self.data = b""
        self.ended = self.reset = None


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams = {}
        self.has_settings = False

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def wait(self, condition):
        """Reads until it holds."""
        self.flush()
        while not condition():
            data = self.socket.recv(65536)
            if not data:
                sys.exit("FAILED  the server ended the connection")
            for event in self.h2.receive_data(data):
                stream = self.streams.get(getattr(event, "stream_id", None))
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    self.has_settings = True
                elif isinstance(event, h2.events.ResponseReceived):
                    stream.headers = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    stream.data += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    stream.ended = True
                elif isinstance(event, h2.events.StreamReset):
                    stream.reset = event.error_code
            self.flush()

    def ask(self, fields=(), end_stream=False, **pseudo):
        """An extended CONNECT, or what is made of it: None leaves a field out."""
        names = {"method": "CONNECT", "protocol": "websocket", "scheme": "http", "path": "/any/path",
                 "authority": authority, **pseudo}
        headers = [(f":{name}", value) for name, value in names.items() if value is not None]
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.h2.send_headers(number, headers + list(fields), end_stream=end_stream)
        return number, self.streams[number]

    def send(self, number, data, step=1 << 14):
        while data:
            self.wait(lambda: self.h2.local_flow_control_window(number) > 0)
            take = min(step, self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            self.h2.send_data(number, data[:take])
            data = data[take:]
        self.flush()

    def open(self, fields=()):
        number, stream = self.ask([("sec-websocket-version", "13"), *fields])
        self.wait(lambda: stream.headers)
        return number, stream

    def echoes(self, name, number, opcode, data, **options):
        stream = self.streams[number]
        stream.data = b""
        expected = frame(opcode, data, mask=False)
        self.send(number, frame(opcode, data), **options)
        self.wait(lambda: len(stream.data) >= len(expected))
        check(name, stream.data == expected)

    def status(self, **changes):
        number, stream = self.ask(**changes)
        self.wait(lambda: stream.headers or stream.reset)
        return stream.headers or {}


client = Client()
client.wait(lambda: client.has_settings)
settings = client.h2.remote_settings
check("the settings say ENABLE_CONNECT_PROTOCOL = 1", settings.enable_connect_protocol == 1)

number, stream = client.open([("sec-websocket-protocol", "mqtt, superchat"), ("origin", f"http://{authority}")])
check("an extended CONNECT is answered with 200", stream.headers[":status"] == "200", stream.headers)
check("the subprotocol", stream.headers.get("sec-websocket-protocol") == "superchat")
others = {"connection", "upgrade", "sec-websocket-accept", "content-length", "transfer-encoding"} & set(stream.headers)
check("and nothing of HTTP/1.1", not others, stream.headers)
client.echoes("text", number, Opcode.TEXT, "Größe: 😀".encode())
client.echoes("empty binary", number, Opcode.BINARY, b"")
client.echoes("a byte a DATA frame", number, Opcode.BINARY, os.urandom(300), step=1)
client.echoes("1 MiB of binary, by flow control", number, Opcode.BINARY, os.urandom(1 << 20))

stream.data = b""
client.send(number, frame(Opcode.PING, b"payload"))
client.wait(lambda: len(stream.data) >= 9)
check("ping is answered", stream.data == frame(Opcode.PONG, b"payload", mask=False))

# A second one beside it, with its first frames behind the HEADERS in one write.
second, beside = client.ask([("sec-websocket-version", "13")])
client.h2.send_data(second, frame(Opcode.TEXT, b"glued") + frame(Opcode.TEXT, b"to", fin=False))
client.h2.send_data(second, frame(Opcode.CONT, b"gether"))
expected = frame(Opcode.TEXT, b"glued", mask=False) + frame(Opcode.TEXT, b"together", mask=False)
client.wait(lambda: len(beside.data) >= len(expected))
check("frames right behind the request", beside.data == expected, beside.data)
client.h2.reset_stream(second, 8)
client.echoes("a reset of one stream leaves the other alone", number, Opcode.TEXT, b"still there")

page, got = client.ask(method="GET", protocol=None, path="/", end_stream=True)
client.wait(lambda: got.ended)
check("a page beside them", got.headers[":status"] == "200" and b"WebSocket" in got.data)

stream.data = b""
client.send(number, frame(Opcode.CLOSE, Close(4001, "adiós").serialize()))
client.wait(lambda: stream.ended)
check("the Close comes back with its code", stream.data == frame(Opcode.CLOSE, Close(4001, "").serialize(), mask=False), stream.data)
client.h2.end_stream(number)

for name, data, code in [("invalid UTF-8", frame(Opcode.TEXT, b"\xc3\x28"), 1007),
                         ("a frame without a mask", frame(Opcode.TEXT, b"a", mask=False), 1002),
                         ("a message over the limit", b"\x82\xff" + ((64 << 20) + 1).to_bytes(8, "big"), 1009)]:
    number, stream = client.open()
    client.send(number, data)
    client.wait(lambda: stream.ended or stream.reset)
    check(f"{code} after {name}", stream.ended and stream.data[0] == 0x88
          and int.from_bytes(stream.data[2:4], "big") == code, stream.data)

# The answer may come before the server sees the end.
number, stream = client.ask([("sec-websocket-version", "13")], end_stream=True)
client.wait(lambda: stream.ended or stream.reset is not None)
check("a request that ends its stream at once ends", True)

version = [("sec-websocket-version", "13")]
refusals = [
    ("another version", {"fields": [("sec-websocket-version", "8")]}, "400"),
    ("no version", {}, "400"),
    ("another :protocol", {"fields": version, "protocol": "connect-udp"}, "501"),
    ("a foreign origin", {"fields": [*version, ("origin", "http://example.com")]}, "403"),
    ("malformed subprotocols", {"fields": [*version, ("sec-websocket-protocol", "a, a")]}, "400"),
]
for name, changes, status in refusals:
    headers = client.status(**changes)
    check(f"{status} for {name}", headers.get(":status") == status, headers)
    if "version" in name:
        check("    with the version that is spoken", headers.get("sec-websocket-version") == "13")
number, _ = client.open()
client.echoes("and the connection lives on", number, Opcode.TEXT, b"hello")
