#!/bin/sh
# cuda_bench.sh: `lcwc bench --device=cuda` on the simulated device: what it counts is the same in every
# run, the lowerings agree, unfused launches more, dense executes more, and of the two fused forms the
# default is the one that executes less. Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # what; of the last command: 0 is good
  if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; cut -c1-2000 "$dir/table" "$dir/said"; fi
}
bench() { "$lcwc" bench tests/whole/mlp.lcwnet mlp --device=cuda --driver=sim "$@" 2>"$dir/said"; }
field() { # lowering, name: its number
  tr '{' '\n' <"$dir/table" | sed -n "s/^\"lower\":\"$1\",.*\"$2\":\([0-9.e+-]*\).*/\1/p"
}
more() { # lowering, name, times: it is more than so much of that of fused
  echo "$(field "$1" "$2") $(field fused "$2")" | awk -v t="$3" '{ exit !(NF == 2 && $1 > t * $2) }'
}

if "$lcwc" info | grep -q 'CUDA compiler  *none'; then
  echo "skipped: no compiler of CUDA text (NVRTC or clang-19)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
bench --json >"$dir/table"
verdict "it runs" $?
grep -q '"simulated":true' "$dir/table"
verdict "it says that it is simulated" $?
cp "$dir/table" "$dir/first"
bench --json --sim-threads=1 >"$dir/table" && cmp -s "$dir/first" "$dir/table"
verdict "the same counts again" $?
more dense instructions 1.2
verdict "dense executes more than fused" $?
more unfused launches 1.2
verdict "unfused launches more than fused" $?
for lower in fused:epilogue fused:update; do
  more $lower instructions 0.9999
  verdict "fused executes no more than $lower" $?
done
for lower in dense unfused projected fused:epilogue fused:update; do
  echo "$(field $lower difference)" | awk '{ exit !(NF == 1 && $1 < 1e-5) }'
  verdict "$lower makes the same weights" $?
done
bench --lower=fused >"$dir/table" && grep -q 'counted, not timed' "$dir/table"
verdict "the table says that nothing is timed" $?
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
