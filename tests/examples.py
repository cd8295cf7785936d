#!/usr/bin/env python3
"""What every example server must do beside its echo, over real sockets: examples.py [--servers NAME,...] [--checks NAME,...] DIRECTORY

DIRECTORY has the examples. A server is a runtime of echo_server (blocking, tokio, mio) or a program of its own (smol_server,
compio_server, mio_server, epoll_server, hyper_server, axum_server). Every wait has a limit, and names what it waited for.
Each check starts a server of its own, and a failure does not stop the others.
"""

import argparse
import os
import pathlib
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

RUNTIMES = ["blocking", "tokio", "mio"]
PROGRAMS = ["smol_server", "compio_server", "mio_server", "epoll_server", "hyper_server", "axum_server"]
# These have options for their deadlines.
WITH_OPTIONS = [*RUNTIMES, "smol_server", "compio_server"]

# What a living server needs milliseconds for.
WATCHDOG = 2.0
# How long a shutdown waits for the peers, and how much longer the process may take.
DEADLINE, MARGIN = 10.0, 3.0

TEXT, BINARY, CLOSE, PONG = 1, 2, 8, 10
MASK = b"\x11\x22\x33\x44"


class Failed(Exception):
    pass


def ensure(condition, what):
    if not condition:
        raise Failed(what)


def wait_for(condition, what, limit=WATCHDOG):
    end = time.monotonic() + limit
    while not condition():
        ensure(time.monotonic() < end, f"not after {limit:g} s: {what}")
        time.sleep(0.01)


def frame(opcode, payload=b""):
    """A whole frame of a client."""
    size = len(payload)
    key = int.from_bytes(MASK * (size // 4 + 1), "big") >> 8 * (4 - size % 4)
    masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
    return bytes([0x80 | opcode]) + length(size, 0x80) + MASK + masked


def length(size, mask=0):
    """The length of a payload, as the header of a frame has it."""
    if size < 126:
        return bytes([mask | size])
    return struct.pack(">BH", mask | 126, size) if size < 1 << 16 else struct.pack(">BQ", mask | 127, size)


class Server:
    """A process, and the port that it printed."""

    def __init__(self, directory, name, descriptors=None, options=()):
        runtime = name in RUNTIMES
        self.directory = directory
        command = [directory / ("echo_server" if runtime else name), "--listen", "127.0.0.1:0"]
        command += ["--runtime", name] if runtime else []
        command += options
        limit = descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)))
        self.log = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=limit)
        try:
            wait_for(self.has_port, "the server prints its address", 10.0)
        except BaseException:
            self.__exit__()
            raise

    def has_port(self):
        ensure(self.process.poll() is None, f"the server ended at its start:\n{self.said()}")
        found = re.search(r"ws://127\.0\.0\.1:(\d+)", self.said())
        self.port = found and int(found[1])
        return found

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def signal(self, number):
        ensure(self.process.poll() is None, f"the server has ended already: {self.process.returncode}")
        self.process.send_signal(number)

    def exits(self, what, statuses, limit):
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"not after {limit:g} s: {what}") from None
        ensure(status in statuses, f"{what}: exit status {status}, not {' or '.join(map(str, statuses))}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Client:
    """A connection whose every operation fails after the watchdog's time."""

    def __init__(self, server, handshake=True, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(WATCHDOG)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.port))
        self.received = b""
        if handshake:
            self.ask()
            self.answer()

    def ask(self):
        self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")

    def answer(self):
        head = self.until(lambda: b"\r\n\r\n" in self.received and self.received.index(b"\r\n\r\n") + 4, "the handshake")
        ensure(head and head.startswith(b"HTTP/1.1 101 "), f"the handshake was answered with {head!r}")

    def send(self, data):
        self.socket.sendall(data)

    def until(self, length, what):
        """Reads until `length` says how much to take; `None` at the end of the stream."""
        end = time.monotonic() + WATCHDOG
        while not (take := length()):
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise Failed(f"not after {WATCHDOG:g} s: {what}") from None
            if not data:
                ensure(not self.received, f"the stream ended within {what}: {self.received!r}")
                return None
            self.received += data
        taken, self.received = self.received[:take], self.received[take:]
        return taken

    def frame(self, what):
        """The next frame, of at most 125 bytes, as its opcode and payload; `None` at the end of the stream."""
        got = self.until(lambda: len(self.received) > 1 and len(self.received) >= 2 + self.received[1] and 2 + self.received[1], what)
        return got and (got[0] & 15, got[2:])

    def echoes(self, text, what):
        self.send(frame(TEXT, text))
        got = self.frame(what)
        ensure(got == (TEXT, text), f"{what}: {got!r}")

    def going_away(self):
        """Receives the Close of a server that shuts down; its payload."""
        got = self.frame("the Close of the shutdown")
        ensure(got and got[0] == CLOSE and got[1][:2] == struct.pack(">H", 1001), f"not a Close with 1001: {got!r}")
        return got[1]

    def ends(self, what):
        got = self.frame(what)
        ensure(got is None, f"{what}: {got!r}")
        self.close()

    def close(self):
        self.socket.close()


def header(name, value):
    """A literal field without indexing (RFC 7541 §6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Http2(Client):
    """A WebSocket on the only stream of an HTTP/2 connection (RFC 8441)."""

    DATA, HEADERS, RESET, SETTINGS, PING = 0, 1, 3, 4, 6

    def __init__(self, server):
        super().__init__(server, handshake=False)
        self.data, self.ended = b"", False
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.framed(self.SETTINGS, 0, b""))
        fields = {b":method": b"CONNECT", b":protocol": b"websocket", b":scheme": b"http", b":path": b"/",
                  b":authority": b"localhost", b"sec-websocket-version": b"13"}
        self.send(self.framed(self.HEADERS, 1, b"".join(header(*field) for field in fields.items()), flags=4))
        while self.step("the answer to CONNECT") != self.HEADERS:
            pass

    @staticmethod
    def framed(kind, stream, payload, flags=0):
        return struct.pack(">HBBBI", len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload

    def step(self, what):
        """Takes a frame of HTTP/2; its type, or `None` at the end of the connection."""
        def length():
            size = 9 + int.from_bytes(self.received[:3], "big")
            return len(self.received) >= 9 and len(self.received) >= size and size
        got = self.until(length, what)
        if got is None:
            return None
        kind, flags, payload = got[3], got[4], got[9:]
        if kind in (self.SETTINGS, self.PING) and not flags & 1:
            self.send(self.framed(kind, 0, payload if kind == self.PING else b"", flags=1))
        elif kind == self.DATA:
            self.data += payload
        ensure(kind != self.RESET, f"the stream was reset while waiting for {what}")
        self.ended |= kind in (self.DATA, self.HEADERS) and bool(flags & 1)
        return kind

    def frame(self, what):
        while not (len(self.data) > 1 and len(self.data) >= 2 + self.data[1]):
            if self.ended or self.step(what) is None:
                return None
        size = 2 + self.data[1]
        taken, self.data = self.data[:size], self.data[size:]
        return taken[0] & 15, taken[2:]

    def send_data(self, data, end=False):
        self.send(self.framed(self.DATA, 1, data, flags=int(end)))


def shutdown(start):
    """SIGTERM, 20 connections: all get a Close with 1001, one never answers; exit status 0 within the deadline."""
    with start() as server:
        clients = [Client(server) for _ in range(20)]
        clients[0].echoes(b"before", "an echo before the signal")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        closes = [client.going_away() for client in clients]
        for client, payload in list(zip(clients, closes))[1:]:
            client.send(frame(CLOSE, payload))
        for client in clients[1:]:
            client.ends("the end of a connection that answered the Close")
        try:
            Client(server, handshake=False)
        except ConnectionError:
            pass
        else:
            raise Failed("a new connection was accepted after the signal")
        left = began + DEADLINE + MARGIN - time.monotonic()
        server.exits(f"the process ends within {DEADLINE:g} s, and some more", [0], left)


def prompt_shutdown(start):
    """SIGINT, all 20 connections answer, and one never sent its request: exit status 0 at once."""
    with start() as server:
        silent = Client(server, handshake=False)
        clients = [Client(server) for _ in range(20)]
        server.signal(signal.SIGINT)
        for client in clients:
            client.send(frame(CLOSE, client.going_away()))
            client.ends("the end of a connection that answered the Close")
        server.exits("the process ends when its last connection has", [0], WATCHDOG)
        silent.close()


def second_signal(start):
    """A second signal, while a connection does not answer the Close: the process ends at once, with 130 or 143."""
    with start() as server:
        client = Client(server)
        server.signal(signal.SIGTERM)
        client.going_away()
        server.signal(signal.SIGTERM)
        server.exits("the process ends at the second signal", [130, 143], WATCHDOG)


def http2_shutdown(start):
    """SIGTERM, a WebSocket over HTTP/2: it gets a Close with 1001, and the connection and the process end."""
    with start() as server:
        client = Http2(server)
        client.send_data(frame(TEXT, b"before"))
        ensure(client.frame("an echo before the signal") == (TEXT, b"before"), "the echo over HTTP/2")
        server.signal(signal.SIGTERM)
        client.send_data(frame(CLOSE, client.going_away()), end=True)
        ensure(client.frame("the end of the stream") is None, "something came behind the Close")
        while client.step("the end of the connection") is not None:
            pass
        server.exits("the process ends when its last connection has", [0], WATCHDOG)


def descriptors(start):
    """40 descriptors, 60 clients: as some leave, all others are served."""
    with start(descriptors=40) as server:
        waiting = {}
        for _ in range(60):
            client = Client(server, handshake=False)
            client.ask()
            waiting[client.socket] = client

        def serve(limit):
            """The clients that are answered, until nobody was for so long."""
            served = []
            while ready := select.select(list(waiting), [], [], limit)[0]:
                for readable in ready:
                    client = waiting.pop(readable)
                    client.answer()
                    client.echoes(b"hello", "an echo")
                    served.append(client)
            return served

        served = serve(0.5)
        ensure(served, "none of 60 clients is served")
        ensure(waiting, "40 descriptors served 60 clients")
        while waiting:
            for client in served:
                client.close()
            waited = len(waiting)
            end = time.monotonic() + WATCHDOG
            served = []
            while not served and time.monotonic() < end:
                served = serve(0.3)
            ensure(served, f"after others left, none of {waited} clients that wait was served for {WATCHDOG:g} s")
        for client in served:
            client.close()


def leaving(start):
    """200 times: connect, send a Pong, and close at once. After a second no descriptor is held any more."""
    with start() as server:
        Client(server).close()
        time.sleep(0.3)
        before = server.descriptors()
        for _ in range(200):
            client = Client(server)
            client.send(frame(PONG))
            client.close()
        try:
            wait_for(lambda: server.descriptors() <= before + 2, "the descriptors are closed", 1.0)
        except Failed:
            raise Failed(f"a second later {server.descriptors()} descriptors are open, before it were {before}") from None


def half_close(start):
    """A text and the end of the client's half: the echo, then the end of the server's."""
    with start() as server:
        client = Client(server)
        # Both in one segment, so that the server learns of them at once.
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.send(frame(TEXT, b"last words"))
        client.socket.shutdown(socket.SHUT_WR)
        got = client.frame("the echo after a half-close")
        ensure(got == (TEXT, b"last words"), f"the echo after a half-close: {got!r}")
        while got := client.frame("the end of the stream after a half-close"):
            ensure(got[0] == CLOSE, f"after the echo: {got!r}")


def large(start):
    """Our tokio client: 200 messages of 1 MB both ways at once."""
    with start() as server:
        client = [server.directory / "interop_large", f"ws://127.0.0.1:{server.port}/"]
        ended = subprocess.run(client, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200)
        ensure(ended.returncode == 0, ended.stdout.decode(errors="replace"))


def steady(start):
    """An echo of 4 MB behind it a Close, both read at 1 MB/s without pause: all arrives, in several times every deadline."""
    with start(options=["--keepalive", "1", "--stall-timeout", "1"]) as server:
        client = Client(server, receive_buffer=16384)
        payload = os.urandom(4 << 20)
        client.send(frame(BINARY, payload) + frame(CLOSE, b"\x03\xe8"))
        expected = bytes([0x80 | BINARY]) + length(len(payload)) + payload + b"\x88\x02\x03\xe8"
        began, received = time.monotonic(), b""
        while len(received) < len(expected):
            data = client.socket.recv(20000)
            ensure(data, f"after {len(received)} of {len(expected)} bytes, and {time.monotonic() - began:.1f} s, the stream ended")
            received += data
            time.sleep(max(0.0, began + len(received) / 1e6 - time.monotonic()))
        ensure(received == expected, "the echo is another one")
        client.ends("the end of the stream behind the Close")


def untaken(start):
    """Answers of which some are never taken, then FIN: no descriptor is held once the stall timeout has passed."""
    with start(options=["--keepalive", "1", "--stall-timeout", "1"]) as server:
        Client(server).close()
        time.sleep(0.3)
        before = server.descriptors()
        clients = []
        for index in range(25):
            client = Client(server, receive_buffer=16384)
            # From none to more than the pipe holds and the server is ready to keep.
            data = frame(BINARY, bytes(10000)) * (index * 4)
            client.socket.settimeout(0.05)
            try:
                client.send(data)
            except TimeoutError:
                pass
            client.socket.shutdown(socket.SHUT_WR)
            clients.append(client)
        held = server.descriptors() - before
        wait_for(lambda: server.descriptors() <= before + 2, f"the descriptors are closed, of which there were {held}", 20.0)
        ensure(held >= 5, f"only {held} connections had untaken answers")
        for client in clients:
            client.close()


def trailing(start):
    """An echo of messages of 10 KB, as many as can be sent without reading, read when FIN was sent: all arrive."""
    with start() as server:
        payload = os.urandom(10000)
        message, answer = frame(BINARY, payload), bytes([0x80 | BINARY]) + length(len(payload)) + payload
        # Some of these numbers leave answers in the server, which has read the FIN; with the last it may be behind the rest.
        for count in [16, 20, 24, 28, 32, 390]:
            client = Client(server, receive_buffer=16384)
            data, sent = memoryview(message * count), 0
            while data[sent:] and select.select([], [client.socket], [], 0.3)[1]:
                sent += client.socket.send(data[sent : sent + 65536])
            client.socket.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
            complete = sent // len(message)
            ensure(complete >= min(count, 20), f"the server took {complete} messages only")
            received = b""
            while len(received) < complete * len(answer) and (data := client.socket.recv(65536)):
                received += data
            ensure(received == answer * complete, f"{len(received)} of {complete * len(answer)} bytes came")
            got = client.frame("the end of the stream behind the answers")
            ensure(got is None or got[0] == CLOSE, f"behind the answers: {got!r}")
            client.close()


CHECKS = {check.__name__: check for check in
          [shutdown, prompt_shutdown, second_signal, http2_shutdown, descriptors, leaving, half_close, large, steady,
           untaken, trailing]}


def main():
    names = RUNTIMES + PROGRAMS

    def among(known):
        def parse(text):
            if unknown := set(text.split(",")) - set(known):
                raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}; known are {', '.join(known)}")
            return text.split(",")
        return parse

    parser = argparse.ArgumentParser(description="What every example server must do beside its echo")
    parser.add_argument("--servers", type=among(names), default=names, metavar="NAME,...", help=", ".join(names))
    parser.add_argument("--checks", type=among(CHECKS), default=list(CHECKS), metavar="NAME,...", help=", ".join(CHECKS))
    parser.add_argument("directory", type=pathlib.Path, help="where the examples are")
    arguments = parser.parse_args()

    passed = failed = 0
    for name in arguments.servers:
        for check in arguments.checks:
            if check == "http2_shutdown" and name not in ("hyper_server", "axum_server"):
                continue
            if check in ("steady", "untaken") and name not in WITH_OPTIONS:
                continue  # Its deadlines cannot be shortened.
            servers = []

            def start(**options):
                servers.append(Server(arguments.directory, name, **options))
                return servers[-1]

            began = time.monotonic()
            try:
                CHECKS[check](start)
            except (Failed, OSError) as error:
                failed += 1
                print(f"FAILED  {name}, {check}: {error if isinstance(error, Failed) else repr(error)}", flush=True)
            else:
                passed += 1
                print(f"ok  {name}, {check}: {time.monotonic() - began:.1f} s", flush=True)
    print(f"examples: {passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
