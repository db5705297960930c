#!/bin/sh
# demo.sh: the 50-layer sigmoid MLP of "Linearly Constrained Weights" (section 6.1) on Fashion-MNIST,
# first with W = free, which stays at chance, then with W = lcw, which learns. Leaves the curves
# in runs/demo/curves.svg.
set -eu
cd "$(dirname "$0")/.."
lcwc=${BUILD:-build}/lcwc
out=runs/demo
epochs=${EPOCHS:-5}
mkdir -p "$out"
for set in free lcw; do
  echo
  echo "== 50 layers of 256 sigmoid neurons, W = $set, $epochs epochs"
  "$lcwc" train examples/mlp.lcwnet mlp -D W=$set --epochs "$epochs" -o "$out/$set" --overwrite
done
"$lcwc" plot "$out/lcw" "$out/free" -o "$out/curves.svg" --title "50-layer sigmoid MLP on Fashion-MNIST"
echo
echo "curves: $out/curves.svg    look inside: $lcwc inspect examples/mlp.lcwnet mlp"
