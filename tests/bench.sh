#!/bin/sh
# bench.sh: what `make bench` prints: speed as ratios measured in one run, on this machine.
#
#   1  the lowerings of the 50 x 256 sigmoid MLP, batch 128, 784 inputs, and their roofline
#   2  the same step in PyTorch, at the best of its settings, if python3-torch is installed
#   3  from the file to the first step, for 50, 500 and 5,000 layers
lcwc=${BUILD:-build}/lcwc
file=examples/mlp.lcwnet
work=$(mktemp -d) || exit 3
wide=$work/wide.lcwnet
trap 'rm -rf "$work"' EXIT

step() { "$lcwc" bench "$@" --lower=fused --json 2>/dev/null | sed 's/.*"step_ms":\([0-9.]*\).*/\1/'; }

echo "== the lowerings, 784 inputs"
"$lcwc" bench $file mlp --lower=free,fused:epilogue,fused:update,unfused,dense,projected || exit

sed 's/^data fashion.*/data fashion { source = synthetic(shape = [3, 32, 32], classes = 10); normalize = channel; }/' $file >"$wide"

# The median of the times of every contestant in the file, the fastest first: "ms name".
medians() {
  sort -k 2 -k 1,1g "$1" | awk '
    function out() { if (n) print time[int((n + 1) / 2)], name; n = 0 }
    { ms = $1; sub(/^[^ ]* /, ""); if ($0 != name) out(); name = $0; time[++n] = ms }
    END { out() }' | sort -g
}

# One round: ours and every setting of PyTorch, one after the other, so that a busy minute of the
# machine is everybody's. The settings of OpenBLAS that slow it down are not its best.
round() {
  echo "$(step "$source" mlp) lcwc, W = lcw, fused"
  [ -z "$python" ] || for setting in "active 1 1" "active 1 0" "active 2 1" "passive 2 1" "passive 2 0"; do
    ms=$(env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_WAIT_POLICY=${setting%% *} \
      "$python" tests/bench_torch.py $inputs ${setting#* })
    echo "$ms PyTorch, waiting, threads, oneDNN = $setting"
  done
}

python=$(command -v /usr/bin/python3) && "$python" -c 'import torch' 2>/dev/null || python=
for inputs in 784 3072; do
  [ $inputs = 784 ] && source=$file || source=$wide
  echo
  echo "== against PyTorch, $inputs inputs, 2 threads, ms: medians of three rounds"
  { round; round; round; } >"$work/$inputs"
  medians "$work/$inputs"
  if [ "$python" ]; then
    medians "$work/$inputs" | awk '/lcwc/ { ours = $1 } /PyTorch/ && !best { best = $1 }
      END { printf "ratio to the best of PyTorch: %.3f\n", ours / best }'
  else
    echo "PyTorch is not installed: apt-get install python3-torch libopenblas0-pthread"
  fi
done

echo
# Seconds from the start of `lcwc train` until it says that the first step comes: compiled, data read,
# weights initialised. Then it is stopped.
to_first_step() {
  start=$(date +%s%N)
  "$lcwc" train $file mlp -D depth=$1 --verbose -o "$work/run$1" >"$work/said" 2>&1 &
  grep -m 1 'steps an epoch' "$work/said" >/dev/null || { wait $!; return 1; }
  end=$(date +%s%N)
  kill -9 $!
  wait $! 2>/dev/null
  echo $start $end | awk '{ printf "%.2f", ($2 - $1) / 1e9 }'
}

echo "== from the file to the first step"
mkfifo "$work/said" || exit 3
for depth in 50 500 5000; do
  kernels=$("$lcwc" train $file mlp -D depth=$depth --stop=object --time-passes 2>&1 |
    awk '/ ms / { s += $1 } END { printf "%.2f", s / 1000 }')
  echo "$depth layers of 256: $(to_first_step $depth) s, $kernels s of it to loadable kernels"
done
