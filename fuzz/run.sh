#!/bin/sh
# Runs fuzz targets, each for some seconds: `fuzz/run.sh [seconds [target ...]]`. What is found new goes to fuzz/corpus,
# what fails to fuzz/artifacts; neither is checked in.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- receive cut_anywhere handshake route dialogue
for target; do
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1
done
