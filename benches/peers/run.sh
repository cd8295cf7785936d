#!/usr/bin/env bash
# Runs the harness: run.sh [--quick] [--runs N] [--native] [--no-tcp] [--no-heap] [--out DIR]
#                          [--filter WORK] [--peers a,b] [--read N] [--chunk N] [--rounds N] [--ms N]
# Writes proto-1.json … proto-N.json, ratios, heap and tcp (.md and .json) to DIR (default: out/, ignored by git),
# and all of it joined to report.md. N is 3, with --quick 1.
#
# Optional, picked up when there:
#   the C library wslay (Debian libwslay-dev)
#   BENCH_PYTHON=PATH     a Python with websockets, uvloop, picows
#   BENCH_NODE_PATH=DIR   a node_modules holding ws
#   BENCH_EXTRA='NAME=COMMAND {port}'   one more echo server, built elsewhere
set -eu
cd "$(dirname "$0")"
quick= native= tcp=1 heap=1 out=out runs= pass=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=--quick ;;
    --native) native=1 ;;
    --no-tcp) tcp= ;;
    --no-heap) heap= ;;
    --out) out=$2; shift ;;
    --runs) runs=$2; shift ;;
    --filter|--peers|--chunk|--read|--rounds|--ms) pass+=("$1" "$2"); shift ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
  shift
done
runs=${runs:-$([ -n "$quick" ] && echo 1 || echo 3)}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
if [ -n "$native" ]; then
  export RUSTFLAGS="-Ctarget-cpu=native" CARGO_TARGET_DIR="$CARGO_TARGET_DIR-native"
fi
features=default
if echo 'int wslay_event_recv(void*);int main(void){return !wslay_event_recv;}' | cc -x c - -lwslay -o /dev/null 2>/dev/null; then
  features=$features,wslay
fi
cargo build --release --features "$features"
bin=$CARGO_TARGET_DIR/release
mkdir -p "$out"
rm -f "$out"/proto-*.json
{
  echo "$(date +%Y-%m-%d), $(uname -m), $(nproc) cores,$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-), $(rustc --version)${native:+, target-cpu=native}"
  echo
} > "$out/report.md"
pin=
[ "$(nproc)" -gt 1 ] && pin="taskset -c 1"
for run in $(seq "$runs"); do
  # The physical limit once is enough.
  limits=; [ "$run" -eq 1 ] || limits=--no-limits
  $pin "$bin/proto" $quick $limits --json "$out/proto-$run.json" --md "$out/proto-$run.md" ${pass[@]+"${pass[@]}"} >/dev/null
done
python3 ratios.py "$out"/proto-*.json --md "$out/ratios.md" --json "$out/ratios.json" >/dev/null
cat "$out/ratios.md" "$out/proto-1.md" >> "$out/report.md"
if [ -n "$heap" ]; then
  $pin "$bin/allocs" ${quick:+--conns 200} --json "$out/heap.json" --md "$out/heap.md" >/dev/null
  cat "$out/heap.md" >> "$out/report.md"
fi
if [ -n "$tcp" ] && [ "$(nproc)" -gt 1 ]; then
  args=(--bin "$bin" --json "$out/tcp.json" --md "$out/tcp.md")
  [ -n "$quick" ] && args+=(--quick --servers "raw,raw (epoll),ours,ours (tokio),ours (mio),tungstenite,fastwebsockets,tokio-websockets,sockudo-ws")
  [ -n "${BENCH_PYTHON:-}" ] && args+=(--python "$BENCH_PYTHON")
  [ -n "${BENCH_NODE_PATH:-}" ] && args+=(--node-path "$BENCH_NODE_PATH")
  [ -n "${BENCH_EXTRA:-}" ] && args+=(--extra "$BENCH_EXTRA")
  python3 tcp.py "${args[@]}" >/dev/null
  cat "$out/tcp.md" >> "$out/report.md"
fi
echo "report: $out/report.md"
