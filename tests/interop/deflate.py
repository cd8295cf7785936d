#!/usr/bin/env python3
"""Python `websockets` as a client that compresses, of our echo server with --deflate PRESET: deflate.py PORT PRESET"""

import os
import sys

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Offer
from websockets.sync.client import connect as connect_any

url = f"ws://127.0.0.1:{sys.argv[1]}/"
low_memory = {"default": False, "low-memory": True}[sys.argv[2]]


def check(name, condition, seen=None):
    if not condition:
        sys.exit(f"FAILED  {name}: {seen!r}")
    print(f"ok  {name}")


def connect(*offers):
    return connect_any(url, compression=None, extensions=offers, ping_interval=None, max_size=64 << 20)


def answer_to(offer):
    """The header that the server should answer with, and how far it may look back into earlier messages."""
    no_server = offer.server_no_context_takeover or low_memory
    no_client = offer.client_no_context_takeover or low_memory
    server_bits = min(offer.server_max_window_bits or 15, 12 if low_memory else 15)
    client_bits = offer.client_max_window_bits
    answer = "permessage-deflate"
    answer += "; server_no_context_takeover" if no_server else ""
    answer += "; client_no_context_takeover" if no_client else ""
    answer += f"; server_max_window_bits={server_bits}" if offer.server_max_window_bits or low_memory else ""
    answer += f"; client_max_window_bits={client_bits}" if client_bits in range(8, 15) else ""
    return answer, 0 if no_server else 1 << server_bits


def echoes(ws):
    pieces = ["frag", "", "mén", "ted" * 1000]
    noise = [os.urandom(70_000) for _ in range(15)]
    for sent in ["Größe: 😀", "", "text " * 100, b"", bytes(range(256)) * 4, os.urandom(1 << 20), "€" * ((1 << 20) // 3),
                 pieces, noise, [b"", b""], "", b"", "text " * 100]:
        ws.send(iter(sent) if isinstance(sent, list) else sent)
        expected = sent[0][:0].join(sent) if isinstance(sent, list) else sent
        if ws.recv(timeout=30) != expected:
            return False
    return True


def repeats(ws, length):
    """Hexadecimal noise again and again; how long its echoes are on the wire, but for the first."""
    extension, lengths, message = ws.protocol.extensions[0], [], os.urandom(length // 2).hex()
    decode = extension.decode

    def measure(frame, **options):
        lengths.append(len(frame.data))
        return decode(frame, **options)

    extension.decode = measure
    for _ in range(50):
        ws.send(message)
        if ws.recv(timeout=30) != message:
            sys.exit(f"FAILED  {length} bytes of noise do not come back")
    extension.decode = decode
    return lengths[1:]


no_server, no_client = {"server_no_context_takeover": True}, {"client_no_context_takeover": True}
for parameters in [{}, no_server, no_client, no_server | no_client, {"client_max_window_bits": None},
                   *({"server_max_window_bits": bits} for bits in (9, 10, 11, 12, 15)),
                   *({"client_max_window_bits": bits} for bits in (9, 10, 11, 12, 15)),
                   {"server_max_window_bits": 9, "client_max_window_bits": 9},
                   no_server | no_client | {"server_max_window_bits": 10, "client_max_window_bits": 9}]:
    offer = Offer(**parameters)
    answer, window = answer_to(offer)
    with connect(offer) as ws:
        seen = ws.response.headers.get("Sec-WebSocket-Extensions")
        check(f"{parameters} is answered: {answer}", seen == answer, seen)
        check("    all kinds of messages come back", echoes(ws))
        for length in (200, 2000):
            # A compressor looks back nearly as far as its window is wide.
            short = length < window / 2
            low, high = (0, 0.25) if short else (0.5, 0.9)
            lengths = repeats(ws, length)
            right = low * length < min(lengths) and max(lengths) < high * length
            check(f"    {length} bytes, repeated, {'shrink' if short else 'are compressed alike'}", right, lengths)

# No compressor keeps a window of 256 bytes.
too_small = Offer(server_max_window_bits=8)
with connect(too_small) as ws:
    check("a window of 8 bits is declined", "Sec-WebSocket-Extensions" not in ws.response.headers and echoes(ws))
with connect(too_small, Offer()) as ws:
    seen = ws.response.headers.get("Sec-WebSocket-Extensions")
    check("    for the next offer", seen == answer_to(Offer())[0] and echoes(ws), seen)
