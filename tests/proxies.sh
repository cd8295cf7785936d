#!/usr/bin/env bash
# Our clients through real proxies to our echo server: HTTP CONNECT by tinyproxy, SOCKS5 by microsocks, each with and
# without a password. Fails at the first thing that is not as it should be.
# usage: tests/proxies.sh
#   PYTHON   a Python 3 (default python3)
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=$PWD/target/proxies
bin=${CARGO_TARGET_DIR:-target}/release/examples
mkdir -p "$work"

# --- what it needs, by name
missing=()
for name in tinyproxy microsocks; do
    command -v "$name" > /dev/null || missing+=("$name")
done
command -v "$python" > /dev/null || missing+=(python3)
if [ ${#missing[@]} -gt 0 ]; then
    echo "== installing ${missing[*]}"
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$work/apt.log"
fi
tinyproxy -v

cargo build --release --workspace --all-features --example echo_server --example interop_proxies

# --- what runs beside us ends with us
servers=()
cleanup() {
    [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2> /dev/null || true
    wait
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

free_port() {
    "$python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

# start NAME PORT COMMAND...: a server that listens on PORT once this returns.
start() {
    local log=$work/$1.log port=$2
    shift 2
    "$@" > "$log" 2>&1 &
    servers+=($!)
    "$python" tests/autobahn/wait-for-port.py "$port" $! || { cat "$log" >&2; exit 1; }
}

server=$(free_port)
start server "$server" "$bin/echo_server" --listen "127.0.0.1:$server"
http=$(free_port)
printf '%s\n' "Port $http" "Listen 127.0.0.1" "Allow 127.0.0.1" "BasicAuth me secret" > "$work/tinyproxy.conf"
start http "$http" tinyproxy -d -c "$work/tinyproxy.conf"
socks=$(free_port)
start socks "$socks" microsocks -i 127.0.0.1 -p "$socks"
known=$(free_port)
start known "$known" microsocks -i 127.0.0.1 -p "$known" -u me -P secret

echo "== through tinyproxy and microsocks"
timeout 120 "$bin/interop_proxies" "$server" "$http" "$socks" "$known" | tee "$work/checks.log"
passed=$(grep -c '^ok ' "$work/checks.log")
echo "proxies: $passed passed, 0 failed"
