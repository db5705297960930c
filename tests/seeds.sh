#!/bin/sh
# seeds.sh [N...]: every bug of tests/seeds.list (or those of these numbers) is planted, one at a
# time, and the harness that the list names must fail. Only the object of the bug is compiled again:
# linked before the archives, it takes the place of the right one. A bug in the sources that the list
# lacks fails too. Ends in `N passed, N failed, N skipped`.
build=${BUILD:-build}
out=$build/seeds
mkdir -p "$out"

# number file harness arguments: exit 0 if the harness fails
caught() {
  number=$1 file=$2 harness=$3
  shift 3
  # shellcheck disable=SC2046
  ${CC:-gcc} -std=c11 -D_GNU_SOURCE -ffp-contract=off -fPIE \
    $(printf -- "-I%s " compiler compiler/*/ runtime codegen grammar) -I"$build" \
    -isystem "$(llvm-config-19 --includedir)" -O1 -DLCW_SEED="$number" -c "$file" -o "$out/$number.o" &&
  ${CC:-gcc} -pie -o "$out/$number" "$build/tests/$harness.o" "$out/$number.o" -Wl,--start-group \
    "$build"/libtest.a "$build"/liblcwc.a "$build"/liblcwrt.a -Wl,--end-group \
    $(llvm-config-19 --ldflags --libs) -lcmocka -ljansson -lz -lm -lpthread -ldl || return 2
  for _ in 1 2 3; do # a race may end well; one that takes too long was not caught
    timeout 120 "$out/$number" "$@" >"$out/$number.log" 2>&1 </dev/null
    code=$?
    [ $code = 124 ] && return 1
    [ $code != 0 ] && return 0
  done
  return 1
}

one() {
  start=$(date +%s)
  # shellcheck disable=SC2086
  if caught $1; then echo "caught: $1 ($(($(date +%s) - start)) s)"; else echo "FAILED: seeded bug $1 is not caught"; fi
  rm -f "$out/${1%% *}" "$out/${1%% *}.o"
}

if [ "$1" = --one ]; then one "$2"; exit; fi
wanted=$(echo "$*" | tr ' ' '|')
grep -E "^(${wanted:-[0-9]+}) " tests/seeds.list | tr '\n' '\0' | xargs -0 -n 1 -P 2 "$0" --one >"$out/all"
grep -rhoE 'SEED\([0-9]+' compiler codegen runtime | sort -u | tr -dc '0-9\n' | while read -r number; do
  grep -q "^$number " tests/seeds.list || echo "FAILED: seeded bug $number is not in tests/seeds.list"
done >>"$out/all"
cat "$out/all"
failed=$(grep -c FAILED "$out/all")
echo "$(grep -c caught: "$out/all") passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
