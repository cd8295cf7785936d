#!/usr/bin/env bash
# Run the Autobahn|Testsuite against our examples, as server and as client, and fail on any result that is not strict.
# usage: tests/autobahn/run.sh [OPTION...] [CASE...]  default: '1.*' to '10.*', which is all but compression
#        tests/autobahn/run.sh --deflate [CASE...]    default: 12.* and 13.* without their largest messages, 120 cases
#   --server RUNTIME,...   what drives the echo server, each in turn: blocking, tokio, smol, compio, mio (default blocking)
#   --client RUNTIME,...   what drives autobahn_client: blocking, tokio (default blocking)
# All of compression, 216 cases of 1000 messages each, takes 10 to 20 minutes each way:
#        tests/autobahn/run.sh --deflate '12.*' '13.*'
#   PYTHON   an interpreter with lib2to3 (default python3.11; Python 3.13 has none any more)
# The reports stay in target/autobahn-server-RUNTIME and target/autobahn-client-RUNTIME.
set -euo pipefail

cd "$(dirname "$0")/../.."
suite=tests/autobahn
expect=()
options=()
servers=blocking
clients=blocking
while [[ ${1-} == --* ]]; do
    case $1 in
        --deflate) options=(--deflate) ;;
        --server) servers=${2:?"$1 wants runtimes"}; shift ;;
        --client) clients=${2:?"$1 wants runtimes"}; shift ;;
        *) echo "$0: no option is called $1" >&2; exit 2 ;;
    esac
    shift
done
# A run that lost cases on the way must not pass.
if [ $# -eq 0 ] && [ ${#options[@]} -gt 0 ]; then
    set -- '12.*' '13.*'
    for large in 8 9 10 14 15 16 17 18; do set -- "$@" "-12.*.$large" "-13.*.$large"; done
    expect=(--expect 120)
elif [ $# -eq 0 ]; then
    set -- '1.*' '2.*' '3.*' '4.*' '5.*' '6.*' '7.*' '8.*' '9.*' '10.*'
    expect=(--expect 301)
fi

export AUTOBAHN_VENV=$PWD/target/autobahn-venv
$suite/setup.sh "$AUTOBAHN_VENV"
cargo build --release --workspace --all-features --example echo_server --example smol_server --example compio_server \
    --example autobahn_client
python=$AUTOBAHN_VENV/bin/python
bin=${CARGO_TARGET_DIR:-target}/release/examples

free_port() {
    "$python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

# What runs in the background is ended with us. `timeout` has a process group of its own and passes a signal on to it.
cleanup() {
    local running
    running=$(jobs -pr)
    # shellcheck disable=SC2086
    [ -z "$running" ] || kill $running 2>/dev/null || true
    wait
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# A foreground command would hold the traps up until it ends.
limited() {
    timeout 2400 "$@" &
    wait $!
}

# Both directions are judged, so that one failure does not hide another.
status=0

for runtime in ${servers//,/ }; do
    echo "== Autobahn: our server, $runtime"
    out=target/autobahn-server-$runtime
    port=$(free_port)
    mkdir -p "$out"
    case $runtime in
        smol | compio) echo_server=("$bin/${runtime}_server") ;;
        *) echo_server=("$bin/echo_server" --runtime "$runtime") ;;
    esac
    "${echo_server[@]}" --listen "127.0.0.1:$port" "${options[@]}" > "$out/echo_server.log" 2>&1 &
    server=$!
    "$python" $suite/wait-for-port.py "$port" "$server" || { cat "$out/echo_server.log" >&2; exit 1; }
    AGENT=sansock limited $suite/run-server-cases.sh "ws://127.0.0.1:$port" "$out" "$@" || status=1
    # It must have survived the whole suite.
    kill -0 "$server" || { echo "$0: echo_server died; see $out/echo_server.log" >&2; status=1; }
    kill "$server" 2>/dev/null || true
    "$python" $suite/summarize.py --strict "${expect[@]}" "$out" || status=1
done

for runtime in ${clients//,/ }; do
    echo "== Autobahn: our client, $runtime"
    out=target/autobahn-client-$runtime
    port=$(free_port)
    limited $suite/run-client-cases.sh "$port" "$out" "$@" -- \
        "$bin/autobahn_client" --runtime "$runtime" --url "ws://127.0.0.1:$port" --agent sansock "${options[@]}" || status=1
    "$python" $suite/summarize.py --strict "${expect[@]}" "$out" || status=1
done

exit "$status"
