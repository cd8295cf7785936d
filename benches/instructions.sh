#!/usr/bin/env bash
# Counts the instructions of the hot paths under callgrind and compares them with benches/instructions/baseline.txt.
#
#   benches/instructions.sh            fails when a path takes 5 % more than the baseline
#   benches/instructions.sh --update   writes the baseline
#
# Counts depend on the compiler and on which SIMD the processor offers the program, so the baseline is keyed by both:
# with another compiler or processor the counts are printed and nothing fails. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/instructions"
tolerance=5 # percent
update=
case ${1:-} in
  '') ;;
  --update) update=1 ;;
  *) echo "unknown argument $1" >&2; exit 2 ;;
esac
command -v valgrind >/dev/null || { echo "valgrind is missing (Debian: apt-get install valgrind)" >&2; exit 1; }

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
unset RUSTFLAGS
cargo build --release --quiet
bin=$CARGO_TARGET_DIR/release/instructions
# Else long copies count as one instruction a byte.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000
# Valgrind knows SIMD up to AVX2, and offers what the real processor has.
simd=$(grep -qw avx2 /proc/cpuinfo 2>/dev/null && echo avx2 || echo no-avx2)
key="$(rustc --version), $(uname -m), $simd, $(valgrind --version)"

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
count() { # PATH MESSAGES
  local log
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" "$1" "$2" 2>&1) || { echo "$log" >&2; return 1; }
  sed -n 's/^==[0-9]*== Collected : //p' <<< "$log"
}
export -f count
export bin
# N and 2N messages: the difference is N times the path.
measure() {
  local messages=320 once twice
  case $1 in deflate-send/*) messages=32 ;; esac
  once=$(count "$1" $messages)
  twice=$(count "$1" $((2 * messages)))
  [ -n "$once" ] && [ -n "$twice" ] || { echo "no count of $1" >&2; return 1; }
  echo "$1 $(((twice - once) / messages))"
}
export -f measure
"$bin" | xargs -P "$(nproc)" -I{} bash -c 'set -euo pipefail; measure {}' > "$counts.all" || { rm -f "$counts.all"; exit 1; }
# In the order of the program.
"$bin" | while read -r path; do grep "^$path " "$counts.all"; done > "$counts"
rm -f "$counts.all"

if [ -n "$update" ]; then
  { echo "# $key"; cat "$counts"; } > baseline.txt
  cat baseline.txt
  exit
fi
[ -f baseline.txt ] || { echo "no baseline: run benches/instructions.sh --update" >&2; exit 1; }
same=1
[ "$(head -1 baseline.txt)" = "# $key" ] || same=
awk -v tolerance="$tolerance" '
  FNR == 1 { file++ }
  /^#/ { next }
  file == 1 { baseline[$1] = $2; next }
  {
    if (!($1 in baseline)) { printf "%-40s %9d   new: run benches/instructions.sh --update\n", $1, $2; bad = 1; next }
    change = ($2 / baseline[$1] - 1) * 100
    mark = change > tolerance ? "   SLOWER" : change < -tolerance ? "   faster" : ""
    if (change > tolerance) bad = 1
    printf "%-40s %9d %+7.1f %%%s\n", $1, $2, change, mark
  }
  END { exit bad }
' baseline.txt "$counts" && exit
if [ -z "$same" ]; then
  echo "not compared: the baseline is of $(head -1 baseline.txt | cut -c3-), this is $key"
  exit
fi
echo "slower than the baseline by more than $tolerance %; if that is meant, run benches/instructions.sh --update" >&2
exit 1
