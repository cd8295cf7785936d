#!/bin/sh
# Run the Autobahn fuzzing server on a loopback port for a WebSocket client to test.
# usage: run-client-cases.sh PORT OUTDIR [CASE...] [-- CLIENT COMMAND...]
#   With a client command: start the server, run the command, stop the server.
#   Without one: run the server in the foreground until it is killed.
#   CASE   a case id or pattern ('1.1.1', '9.*'); '-9.*' leaves cases out; default '*'
#   AUTOBAHN_VENV   the directory that setup.sh made (required)
# The client reads the case count from /getCaseCount, echoes on each of
# /runCase?case=N&agent=NAME (N from 1), then connects to /updateReports?agent=NAME,
# which writes OUTDIR. It finds the server's URL in AUTOBAHN_URL.
set -eu

[ $# -ge 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
venv=${AUTOBAHN_VENV:?set it to the directory that setup.sh made}
port=$1 out=$2
shift 2

mkdir -p "$out"
rm -f "$out"/index.json "$out"/cases.json "$out"/index.html "$out"/*_case_*.json "$out"/*_case_*.html
AUTOBAHN_URL=ws://127.0.0.1:$port
export AUTOBAHN_URL

# The case patterns are what stands before "--".
n=0
for arg; do
    [ "$arg" = "--" ] && break
    n=$((n + 1))
done
"$venv/bin/python" "$here/spec.py" server "$AUTOBAHN_URL" "$out" "" "$@" > "$out/spec"
shift "$n"

PYTHONUNBUFFERED=1
export PYTHONUNBUFFERED
if [ $# -eq 0 ]; then
    exec "$venv/bin/wstest" --mode fuzzingserver --spec "$out/spec" --webport 0
fi
shift # the "--"

"$venv/bin/python" -c 'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' "$port" ||
    { echo "$0: port $port is taken" >&2; exit 1; }
"$venv/bin/wstest" --mode fuzzingserver --spec "$out/spec" --webport 0 > "$out/wstest.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 1' HUP INT TERM
"$venv/bin/python" "$here/wait-for-port.py" "$port" "$server" ||
    { tail -n 5 "$out/wstest.log" >&2; exit 1; }

status=0
"$@" || status=$?
if [ ! -s "$out/index.json" ]; then
    echo "$0: no results; did the client connect to /updateReports?" >&2
    exit 1
fi
exit "$status"
