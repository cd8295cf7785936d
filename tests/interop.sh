#!/usr/bin/env bash
# Talk to other implementations over real sockets: Python `websockets`, npm `ws` and Chromium against our echo server, and
# our client against servers of the first two; each without compression and with it; and both ways through nginx and
# HAProxy. The same peers against our servers on hyper and axum, and over HTTP/2 Python `h2` against them, and our client
# against Hypercorn. Fails at the first thing that is not as it should be.
# usage: tests/interop.sh
#   PYTHON   a Python 3 with its venv module (default python3.11)
#   CHROMIUM, CHROMEDRIVER   the browser and its driver, of one version (default: Debian's, in /usr/bin)
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium} CHROMEDRIVER=${CHROMEDRIVER:-/usr/bin/chromedriver}
work=$PWD/target/interop
bin=${CARGO_TARGET_DIR:-target}/release/examples
mkdir -p "$work"

# --- what it needs, by name
missing=()
[ -x "$CHROMIUM" ] && [ -x "$CHROMEDRIVER" ] || missing+=(chromium chromium-driver)
command -v node > /dev/null || missing+=(nodejs)
command -v npm > /dev/null || missing+=(npm)
# Debian puts both where only root looks for programs.
PATH=$PATH:/usr/sbin
command -v nginx > /dev/null || missing+=(nginx-light)
command -v haproxy > /dev/null || missing+=(haproxy)
"$python" -c 'import venv, ensurepip' 2> /dev/null || missing+=(python3.11 python3.11-venv)
if [ ${#missing[@]} -gt 0 ]; then
    echo "== installing ${missing[*]}"
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$work/apt.log"
fi
[ -x "$work/python/bin/python" ] || "$python" -m venv "$work/python"
"$work/python/bin/python" -m pip --quiet --disable-pip-version-check install --upgrade websockets selenium h2 hypercorn
# The scripts go where the packages are: Node looks for a module beside the file that imports it.
cp tests/interop/*.mjs "$work"
npm --prefix "$work" install --no-audit --no-fund --silent ws@latest
python=$work/python/bin/python
"$python" -m pip --disable-pip-version-check list 2> /dev/null | grep -iE '^(websockets|selenium|h2|hypercorn) '
npm --prefix "$work" ls --depth=0 --silent | grep "@[0-9]"
"$CHROMIUM" --version 2> /dev/null

cargo build --release --workspace --all-features --example echo_server --example hyper_server --example axum_server \
    --example interop_client --example interop_http2_client --example interop_large

# --- what runs beside us ends with us
cleanup() {
    local running
    running=$(jobs -pr)
    # shellcheck disable=SC2086
    [ -z "$running" ] || kill $running 2> /dev/null || true
    wait
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

free_port() {
    "$python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

# start LOG COMMAND...: a server that listens on $port once this returns.
start() {
    local log=$1
    shift
    "$@" > "$log" 2>&1 &
    server=$!
    "$python" tests/autobahn/wait-for-port.py "$port" "$server" || { cat "$log" >&2; exit 1; }
}

stop() {
    kill "$server" || { echo "$0: a server died; see $work" >&2; exit 1; }
    wait "$server" || true
}

# check COMMAND...: prints an `ok` line for each thing it checked, and must have printed some.
checked=0
check() {
    local ok
    timeout 180 "$@" > "$work/check.log" 2>&1 || { cat "$work/check.log"; echo "$0: $* failed" >&2; exit 1; }
    cat "$work/check.log"
    ok=$(grep -c '^ok ' "$work/check.log") || { echo "$0: $* checked nothing" >&2; exit 1; }
    checked=$((checked + ok))
}

# refused TEXT ARGS...: echo_server must not start with these arguments, say why in one line, and exit with 2.
refused() {
    local what=$1 status=0
    shift
    timeout 10 "$bin/echo_server" "$@" > "$work/out.log" 2> "$work/err.log" || status=$?
    if [ "$status" -ne 2 ] || [ "$(wc -l < "$work/err.log")" -ne 1 ] || [ -s "$work/out.log" ]; then
        echo "$0: $what: exit code $status, and it said:" >&2
        cat "$work/out.log" "$work/err.log" >&2
        exit 1
    fi
    echo "ok  $what: $(cat "$work/err.log")"
    checked=$((checked + 1))
}

port=$(free_port)
start "$work/echo_server.log" "$bin/echo_server" --listen "127.0.0.1:$port"
echo "== echo server: its command line"
grep -q "http://127.0.0.1:$port" "$work/echo_server.log" && grep -q "ws://127.0.0.1:$port" "$work/echo_server.log" ||
    { echo "$0: echo_server did not print its two URLs:" >&2; cat "$work/echo_server.log" >&2; exit 1; }
refused "port in use" --listen "127.0.0.1:$port"
refused "bad address" --listen nowhere
echo "== echo server: Python websockets"
check "$python" tests/interop/client.py "$port"
echo "== echo server: npm ws"
check node "$work/client.mjs" "$port"
echo "== echo server: Chromium"
check "$python" tests/interop/browser.py "$port"
stop

limits="server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
for preset in "default:permessage-deflate" "low-memory:permessage-deflate; $limits"; do
    IFS=: read -r preset extensions <<< "$preset"
    port=$(free_port)
    start "$work/echo_server.log" "$bin/echo_server" --listen "127.0.0.1:$port" --deflate "$preset"
    echo "== echo server, --deflate $preset: Python websockets"
    check "$python" tests/interop/deflate.py "$port" "$preset"
    echo "== echo server, --deflate $preset: npm ws"
    check node "$work/deflate.mjs" "$port" "$preset"
    echo "== echo server, --deflate $preset: Chromium"
    check "$python" tests/interop/browser.py "$port" "$extensions"
    stop
done

for name in hyper_server axum_server; do
    port=$(free_port)
    start "$work/$name.log" "$bin/$name" --listen "127.0.0.1:$port"
    echo "== $name: Python websockets"
    check "$python" tests/interop/client.py "$port"
    echo "== $name: npm ws"
    check node "$work/client.mjs" "$port"
    echo "== $name: Chromium"
    check "$python" tests/interop/browser.py "$port"
    echo "== $name: Python h2"
    check "$python" tests/interop/http2.py "$port"
    stop
done

echo "== our client, large messages both ways: Python websockets"
port=$(free_port)
start "$work/server.log" "$python" tests/interop/server.py "$port"
check "$bin/interop_large" "ws://127.0.0.1:$port/echo"
stop

for peer in "Python websockets:$python:tests/interop/server.py" "npm ws:node:$work/server.mjs"; do
    IFS=: read -r name command script <<< "$peer"
    echo "== our client: $name"
    port=$(free_port)
    start "$work/server.log" "$command" "$script" "$port"
    check "$bin/interop_client" "ws://127.0.0.1:$port"
    stop
    for how in deflate small; do
        echo "== our client, $how: $name"
        port=$(free_port)
        start "$work/server.log" "$command" "$script" "$port" "$how"
        check "$bin/interop_client" "ws://127.0.0.1:$port" "$how"
        stop
    done
done

port=$(free_port)
start "$work/hyper_server.log" "$bin/hyper_server" --listen "127.0.0.1:$port" --tls
echo "== hyper_server, TLS: Chromium over HTTP/2"
check "$python" tests/interop/browser.py "$port" "" tls
if ! grep -q "a WebSocket over HTTP/2" "$work/hyper_server.log" || grep -q "over HTTP/1" "$work/hyper_server.log"; then
    echo "$0: Chromium did not speak HTTP/2:" >&2
    cat "$work/hyper_server.log" >&2
    exit 1
fi
stop

echo "== our client over HTTP/2: Python Hypercorn"
port=$(free_port)
start "$work/server.log" "$python" tests/interop/http2_server.py "$port"
check "$bin/interop_http2_client" "127.0.0.1:$port"
stop

# --- through proxies, which cut off a connection that is silent for 10 s: long enough for 16 MiB on a busy machine

# nginx PORT BACKEND PORT BACKEND...: its configuration.
nginx_conf() {
    echo "daemon off; pid $work/nginx.pid; error_log stderr; events {} http { access_log off;"
    for what in client_body proxy fastcgi uwsgi scgi; do echo "${what}_temp_path $work/nginx_$what;"; done
    echo "map \$http_upgrade \$connection_upgrade { default upgrade; '' close; }"
    while [ $# -gt 0 ]; do
        echo "server { listen 127.0.0.1:$1; location / { proxy_pass http://127.0.0.1:$2; proxy_http_version 1.1;"
        echo "proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection \$connection_upgrade;"
        echo "proxy_set_header Host \$http_host; proxy_read_timeout 10s; proxy_send_timeout 10s; } }"
        shift 2
    done
    echo "}"
}

# The same for HAProxy.
haproxy_conf() {
    printf '%s\n' defaults "  mode http" "  timeout connect 10s" "  timeout client 10s" "  timeout server 10s" "  timeout tunnel 10s"
    while [ $# -gt 0 ]; do
        printf '%s\n' "listen port$1" "  bind 127.0.0.1:$1" "  server backend 127.0.0.1:$2"
        shift 2
    done
}

for proxy in nginx haproxy; do
    ports=() servers=()
    for backend in "$bin/echo_server --deflate --keepalive 1 --listen 127.0.0.1:" \
        "$bin/echo_server --keepalive 60 --listen 127.0.0.1:" "$python tests/interop/server.py "; do
        port=$(free_port)
        # shellcheck disable=SC2086
        start "$work/server.log" $backend$port
        servers+=("$server")
        backend=$port
        port=$(free_port)
        ports+=("$port" "$backend")
    done
    "${proxy}_conf" "${ports[@]}" > "$work/$proxy.conf"
    case $proxy in
        nginx) start "$work/$proxy.log" nginx -e stderr -p "$work" -c "$work/$proxy.conf" ;;
        haproxy) start "$work/$proxy.log" haproxy -db -f "$work/$proxy.conf" ;;
    esac
    echo "== through $proxy, echo server: Python websockets"
    check "$python" tests/interop/proxies.py "${ports[0]}" "${ports[2]}" "${servers[0]}"
    echo "== through $proxy, our client: Python websockets"
    check "$bin/interop_client" "ws://127.0.0.1:${ports[4]}"
    echo "== through $proxy, our client: a server that ends abruptly"
    check "$bin/interop_client" "ws://127.0.0.1:${ports[2]}" lost "${servers[1]}"
    stop
    server=${servers[2]}
    stop
done

echo "interop: $checked passed, 0 failed"
