#!/bin/sh
# bench.sh: what `make bench` prints: speed as ratios measured in one run, on this machine.
#
#   1  the lowerings of the 50 x 256 sigmoid MLP, batch 128, 784 inputs, and their roofline
#   2  the same step in PyTorch, at the best of its settings, if python3-torch is installed
#   3  from the file to the first step, for 50, 500 and 5,000 layers
lcwc=${BUILD:-build}/lcwc
file=examples/mlp.lcwnet
wide=$(mktemp --suffix=.lcwnet) || exit 3
trap 'rm -f "$wide"' EXIT

step() { "$lcwc" bench "$@" --lower=fused --json 2>/dev/null | sed 's/.*"step_ms":\([0-9.]*\).*/\1/'; }

echo "== the lowerings, 784 inputs"
"$lcwc" bench $file mlp --lower=free,fused:epilogue,fused:update,unfused,dense,projected || exit

sed 's/^data fashion.*/data fashion { source = synthetic(shape = [3, 32, 32], classes = 10); normalize = channel; }/' $file >"$wide"
for inputs in 784 3072; do
  [ $inputs = 784 ] && source=$file || source=$wide
  echo
  echo "== against PyTorch, $inputs inputs, 2 threads"
  best=
  if python=$(command -v /usr/bin/python3) && "$python" -c 'import torch' 2>/dev/null; then
    for setting in "active 1 1" "active 1 0" "active 2 1" "passive 2 1" "passive 2 0"; do
      policy=${setting%% *}
      # the settings of OpenBLAS that slow it down are not its best
      ms=$(env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_WAIT_POLICY=$policy \
        "$python" tests/bench_torch.py $inputs ${setting#* })
      echo "PyTorch, waiting, threads, oneDNN = $setting: $ms ms"
      best=$(printf '%s\n%s\n' "$ms" "$best" | grep . | sort -g | head -1)
    done
  else
    echo "PyTorch is not installed: apt-get install python3-torch libopenblas0-pthread"
  fi
  ours=$(step "$source" mlp)
  echo "lcwc, W = lcw, fused: $ours ms"
  [ -z "$best" ] || echo "$ours $best" | awk '{ printf "ratio to the best of PyTorch: %.3f\n", $1 / $2 }'
done

echo
echo "== from the file to loadable kernels (before the first step come only the data and init)"
for depth in 50 500 5000; do
  "$lcwc" train $file mlp -D depth=$depth --stop=object --time-passes 2>&1 |
    awk -v depth=$depth '/ ms / { s += $1 } END { printf "%d layers of 256: %.2f s\n", depth, s / 1000 }'
done
