#!/bin/sh
# run.sh LIST: runs the programs of LIST, two at a time, and adds up what they report.
#
# A line of LIST is `program arguments...`; a program is found in $BUILD/tests or at its path
# under $BUILD. It reports by a last line `N passed, N failed, N skipped` or by cmocka's summary. One that
# exits with another code than 0 without counting a failure, or that ran nothing, counts as one
# failed test. The last line is the sum; the exit code is 1 if anything failed or nothing ran.
build=${BUILD:-build}
log=$build/log

run_one() { # number line
  set -- "$1" $2
  number=$1 program=$2
  shift 2
  path=$build/tests/$program
  [ -x "$path" ] || path=$build/$program
  [ -x "$path" ] || path=tests/$program
  start=$(date +%s)
  LCWC=$build/lcwc timeout "${LCW_TEST_LIMIT:-900}" "$path" "$@" >"$log/$number.out" 2>&1 </dev/null
  code=$?
  awk -v code=$code -v name="$program $*" -v seconds=$(($(date +%s) - start)) '
    /[0-9]+ passed, [0-9]+ failed/ { split($0, a, /[^0-9]+/); i = a[1] == "" ? 2 : 1; p = a[i]; f = a[i+1]; s = a[i+2] + 0; plain = 1 }
    !plain && /\[  PASSED  \]/ { n = $0; gsub(/[^0-9]/, "", n); p += n }
    !plain && /\[  FAILED  \].*test\(s\)/ { n = $0; gsub(/[^0-9]/, "", n); f += n }
    !plain && /\[  SKIPPED \].*test\(s\)/ { n = $0; gsub(/[^0-9]/, "", n); s += n }
    END {
      if (code && !f) f = 1
      if (p + f + s == 0) f = 1
      printf "%d %d %d %d %s\n", p, f, s, seconds, name
    }' "$log/$number.out" >"$log/$number.sum"
  read -r p f s seconds name <"$log/$number.sum"
  echo "$name: $p passed, $f failed, $s skipped ($seconds s)" | sed 's/passed, 0 failed, 0 skipped/passed/'
  if [ "$f" -gt 0 ]; then tail -n 40 "$log/$number.out" | sed 's/^/    | /'; fi
}

if [ "$1" = --one ]; then
  run_one "$2" "$3"
  exit
fi
rm -rf "$log" && mkdir -p "$log"
n=0
grep -v '^ *\(#\|$\)' "$1" | while read -r line; do
  n=$((n + 1))
  printf '%s\0%s\0' "$n" "$line"
done | xargs -0 -n 2 -P 2 "$0" --one
cat "$log"/*.sum 2>/dev/null | awk '
  { p += $1; f += $2; s += $3 }
  END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }'
