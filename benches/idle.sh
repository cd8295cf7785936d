#!/usr/bin/env bash
# What idle connections cost: the resident memory of an echo server before it has any, when it has COUNT of them, and
# after each of them has echoed a message of 1 KiB. Bytes a connection; what the kernel holds for a socket is not in it.
# usage: benches/idle.sh [COUNT]      default: 10000
#   SERVERS   which, by comma: ours by their runtime, others by their names in benches/peers/src/bin/echo_server.rs
# Wants Python 3, and a limit of open files (`ulimit -Hn`) above COUNT.
set -euo pipefail

cd "$(dirname "$0")/.."
count=${1:-10000}
servers=${SERVERS:-mio,tokio,smol,compio,tungstenite,tungstenite-4k,fastwebsockets,tokio-websockets,sockudo-ws}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
ulimit -n "$(ulimit -Hn)"
cargo build --quiet --release --workspace --all-features --example echo_server --example smol_server --example compio_server
cargo build --quiet --release --manifest-path benches/peers/Cargo.toml --target-dir "$CARGO_TARGET_DIR/peers" --bin echo_server
trap '[ -z "$(jobs -pr)" ] || kill $(jobs -pr)' EXIT

printf '| %-18s | %12s | %12s | %12s |\n' server "alone, KiB" "opened, B" "used, B"
echo "|---|---|---|---|"
for name in ${servers//,/ }; do
    port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
    case $name in
        smol | compio)
            "$CARGO_TARGET_DIR/release/examples/${name}_server" --listen "127.0.0.1:$port" > /dev/null 2>&1 &
            ;;
        mio | tokio | blocking)
            "$CARGO_TARGET_DIR/release/examples/echo_server" --runtime "$name" --listen "127.0.0.1:$port" > /dev/null 2>&1 &
            ;;
        *) "$CARGO_TARGET_DIR/peers/release/echo_server" "$name" "$port" > /dev/null 2>&1 & ;;
    esac
    server=$!
    python3 tests/autobahn/wait-for-port.py "$port" "$server"
    python3 - "$name" "$port" "$server" "$count" << 'END'
import socket
import sys

name, port, server, count = sys.argv[1], *map(int, sys.argv[2:])
REQUEST = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
MESSAGE = b"\x82\xfe\x04\x00" + bytes(4) + bytes(1024)


def resident():
    with open(f"/proc/{server}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def read(connection, enough):
    got = b""
    while not enough(got):
        piece = connection.recv(65536)
        if not piece:
            sys.exit(f"{name}: a connection ended")
        got += piece


alone = resident()
connections = []
for start in range(0, count, 100):
    # No more at once than the listener's backlog holds.
    batch = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(min(100, count - start))]
    for connection in batch:
        connection.sendall(REQUEST)
    for connection in batch:
        read(connection, lambda got: got.endswith(b"\r\n\r\n"))
    connections += batch
opened = resident()
for connection in connections:
    connection.sendall(MESSAGE)
    read(connection, lambda got: len(got) == 4 + 1024)
used = resident()
print(f"| {name:18} | {alone // 1024:12} | {(opened - alone) // count:12} | {(used - alone) // count:12} |", flush=True)
END
    kill "$server"
    wait "$server" 2> /dev/null || true
done
