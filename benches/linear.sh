#!/usr/bin/env bash
# Checks that receiving takes linear time (I4): counts the instructions for N, 2N and 4N bytes under callgrind. The second
# difference is twice the first one if time is linear, and four times if it is quadratic. More than 2.3 fails.
#
#   benches/linear.sh [LENGTH]   N, by default 8192
#
# It counts work and measures no time, so a busy machine changes nothing. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
export len=${1:-8192}
command -v valgrind >/dev/null || { echo "valgrind is missing (Debian: apt-get install valgrind)" >&2; exit 1; }

unset RUSTFLAGS
bin=$(cargo bench -p sansock-benches --bench linear --no-run --message-format=json |
    sed -n 's/.*"name":"linear".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$bin" ] || { echo "no program was built" >&2; exit 1; }
# Else long copies count as one instruction a byte.
export bin GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000

count() { # CASE LENGTH
    local log
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" "$1" "$2" 2>&1) || { echo "$log" >&2; return 1; }
    sed -n 's/^==[0-9]*== Collected : //p' <<< "$log"
}
measure() { # CASE
    local one two four
    one=$(count "$1" "$len")
    two=$(count "$1" $((2 * len)))
    four=$(count "$1" $((4 * len)))
    echo "$1 $one $two $four"
}
export -f count measure
counts=$("$bin" | xargs -P "$(nproc)" -I{} bash -c 'set -euo pipefail; measure {}')
sort <<< "$counts" | awk '
    {
        first = $3 - $2
        ratio = first > 0 ? ($4 - $3) / first : 0
        # Next to nothing for each byte: no work that could grow.
        bad = ratio > 2.3 && $4 - $3 > 100000
        printf "%-45s %12d instructions, %.2f%s\n", $1, $4, ratio, bad ? "   NOT LINEAR" : ""
        failed += bad
    }
    END { if (NR == 0 || failed) exit 1 }'
