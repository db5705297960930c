#!/bin/sh
# cuda_train.sh: networks trained on the simulated CUDA device with all its checks (or where CUDA_OPTIONS says), held against the
# host: the loss of the tenth step, and of the test samples after it, in every lowering and precision.
# Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0

loss() { # options: the losses of training and of the test after ten steps
  "$lcwc" train "$@" --steps 10 --json -o "$dir/run" --overwrite 2>"$dir/said" |
    sed -n 's/.*"train_loss":\([^,]*\),.*"test_loss":\([^,]*\),.*/\1 \2/p'
}
verdict() { # what, losses on the device, on the host, relative difference allowed
  if echo "$2 $3 $4" | awk '{ far = 0
    for (i = 1; i < 3; i++) { d = $i - $(i + 2); if (d < 0) d = -d; if (d > $5 * $(i + 2)) far = 1 }
    exit NF != 5 || far }'; then passed=$((passed + 1))
  else failed=$((failed + 1)); echo "FAILED: $1: device $2, host $3"; cat "$dir/said"; fi
}

if "$lcwc" info | grep -q 'CUDA compiler  *none'; then
  echo "skipped: no compiler of CUDA text (NVRTC or clang-19)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
cuda=${CUDA_OPTIONS:---device=cuda --driver=sim --sim-checks=all}
one=--sim-threads=1 # the simulated device only
[ -z "$CUDA_OPTIONS" ] || one=
for net in tiny halves mlp bn dropout; do
  file=tests/whole/$net.lcwnet
  name=$(sed -n 's/^net \([a-z_0-9]*\).*/\1/p' "$file" | head -1)
  for lower in fused fused:update unfused; do
    host=$(loss "$file" "$name" --lower=$lower)
    verdict "$net, $lower" "$(loss "$file" "$name" --lower=$lower $cuda)" "$host" 1e-5
  done
  verdict "$net, tf32" "$(loss "$file" "$name" --precision=tf32 $cuda)" "$host" 5e-3
  verdict "$net, bf16" "$(loss "$file" "$name" --precision=bf16 $cuda)" "$host" 5e-2
done
verdict "two runs, the same" "$(loss tests/whole/tiny.lcwnet tiny $cuda)" "$(loss tests/whole/tiny.lcwnet tiny $cuda $one)" 0
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
