#!/bin/sh
# cuda_count.sh: how many kernels the 50-layer MLP has on CUDA in all its phases, in each precision,
# with the one that the runtime copies by; what compiling them costs, cold and from the cache, in
# processor time. Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
export XDG_CACHE_HOME="$dir"

below() { # what, figure, bound
  if echo "$2 $3" | awk '{ exit !(NF == 2 && $1 > 0 && $1 <= $2) }'; then passed=$((passed + 1))
  else failed=$((failed + 1)); echo "FAILED: $1: $2; the bound is $3"; fi
}
seconds() { # of the processor, for a command
  sh -c '"$@" >/dev/null || exit; times' sh "$@" | awk -F'[ms ]+' 'NR == 2 { print 60 * ($1 + $3) + $2 + $4 }'
}

for precision in fp32 tf32 bf16; do
  "$lcwc" emit examples/mlp.lcwnet --emit=cuda --precision=$precision -o "$dir/$precision.cu"
  below "kernels, $precision" "$(grep -c '^entry ' "$dir/$precision.cu")" 24
done
if "$lcwc" info | grep -q 'CUDA compiler  *none'; then
  echo "skipped: no compiler of CUDA text (NVRTC or clang-19)"
  skipped=2
else
  cold=$(seconds "$lcwc" emit examples/mlp.lcwnet --emit=ptx --precision=tf32 -o "$dir/cold.ptx")
  warm=$(for try in 1 2 3; do # the least of them: what else runs on the processor adds to the others
    seconds "$lcwc" emit examples/mlp.lcwnet --emit=ptx --precision=tf32 -o "$dir/warm.ptx"
  done | sort -g | head -1)
  cmp "$dir/cold.ptx" "$dir/warm.ptx" || warm=none
  below "seconds to compile them" "$cold" 4
  below "seconds from the cache" "$warm" 0.1
  echo "compiled in $cold s, from the cache in $warm s"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
