#!/bin/sh
# cuda_edits.sh: `train --kernels=DIR` on the simulated CUDA device. Kernels of tests/whole/tiny.lcwnet are emitted
# and edited: what computes the same is used, what does not is refused. Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
net="tests/whole/tiny.lcwnet tiny -w"

verdict() { # what it is, 1 if it holds
  if [ "$2" = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; cat "$dir/said"; fi
}
forward="sigmoid_of(sum" # what only the kernel of the first layer has
edit() { # words that one kernel has, a script of sed: a fresh folder with that one edited
  rm -rf "$dir/kernels"
  cp -r "$dir/emitted" "$dir/kernels"
  file=$(grep -l "$1" "$dir"/kernels/*.cu | head -1) name=$(basename "$file" .cu)
  sed -i "/---- the kernels/,\$ $2" "$file"
  ! cmp -s "$file" "$dir/emitted/${file##*/}" || verdict "an edit of $file: sed finds nothing to do" 0
}
train() { "$lcwc" train $net --device=cuda --driver=sim --steps 12 -o "$dir/run" --overwrite "$@" >"$dir/said" 2>&1; }
with() { # what it is, exit code wanted, words wanted...: trains with the folder
  what=$1 code=$2
  shift 2
  train --kernels="$dir/kernels" $more
  got=$?
  [ $got = "$code" ] && verdict "$what" 1 || verdict "$what: exit $got, not $code" 0
  for words; do grep -q "$words" "$dir/said" && verdict "$what" 1 || verdict "$what: it does not say $words" 0; done
}
gradcheck() { # what it is, exit code wanted: the whole network with the folder
  "$lcwc" gradcheck $net --device=cuda --driver=sim --kernels="$dir/kernels" $more >"$dir/said" 2>&1
  [ $? = "$2" ] && verdict "$1: gradcheck" 1 || verdict "$1: gradcheck, not $2" 0
}
same() { cmp -s "$dir/plain.safetensors" "$dir/run/last.safetensors" && verdict "$1" 1 || verdict "$1: other weights" 0; }

if "$lcwc" info | grep -q 'CUDA compiler  *none'; then
  echo "skipped: no compiler of CUDA text (NVRTC or clang-19)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
"$lcwc" emit $net --emit=cuda -o "$dir/emitted" >"$dir/said" 2>&1 || verdict "emit" 0
train; cp "$dir/run/last.safetensors" "$dir/plain.safetensors"

cp -r "$dir/emitted" "$dir/kernels"
with "nothing edited" 0 "no kernel differs" && same "nothing edited"
touch "$dir/kernels/notes.txt"
with "another file beside them" 0 "no kernel differs"

# What computes the same is used: to the last bit, or within rounding.
edit "$forward" 's/#pragma unroll 1$/#pragma unroll/'
with "a loop unrolled" 0 "$name is edited: .* of the error bound, at most 0 from the emitted one; [0-9]* warp instructions, emitted [0-9]*$" && same "a loop unrolled"
edit "$forward" 's/sigmoid_of(\(sum[^)]*\))/0.5f + 0.5f * tanh_of(0.5f * \1)/'
with "another formula" 0 "$name is edited"
grep -q "at most 0 from" "$dir/said" && verdict "another formula: the same bits, so this shows nothing" 0
gradcheck "another formula" 0

# What does not is refused, with its name, the place, and what it should be.
edit "$forward" 's/\(sum\[.*\] = v[0-9]*\[h\]\) + v[0-9]*\[h\];/\1;/'
with "a term dropped" 5 "the edited kernel $name is wrong: [a-z.]*\[[0-9]*, [0-9]*\] is" "kernels/$name.cu" "times what rounding may do"
edit "$forward" 's/sigmoid_of(\(sum[^)]*\))/1.0001f * sigmoid_of(\1)/'
gradcheck "a factor" 5
with "a factor" 5 "the edited kernel $name is wrong"
edit "0\.9f \*" 's/0\.9f/0.89f/'
with "another momentum" 5 "$name is wrong"
edit "$forward" 's/f32_store_4(\(a[0-9]*\) + m \* 8/f32_store_4(\1 + m * 8000000/'
with "a store out of bounds" 4 "the edited kernel $name fails" "out of bounds"
edit "$forward" 's/f32_store_4(\(a[0-9]*\) + m \* 8 + n, v[0-9]*);/& \1[128 + m] = 1.0f;/'
with "a store into what is not its own" 5 "the edited kernel $name writes where it has no argument"
edit "$forward" 's/__syncthreads();/__syncthreads(); undeclared();/'
with "what no compiler takes" 1 "kernels/$name.cu:$(grep -n -m 1 undeclared "$file" | cut -d: -f1), in kernel"
edit "$forward" 's/^entry [a-z0-9_]*(/entry other(/'
with "another name" 1 "it has no function of the kernel's name any more"
sed -i '1s/^/\n/' "$file"
with "another prelude" 1 "not the prelude any more"

# What is there that no kernel is called, or nothing at all.
edit "$forward" 's/#pragma unroll 1$/#pragma unroll/'
mv "$file" "$dir/kernels/${name}d.cu"
with "an unknown name" 2 "no kernel of that name" "did you mean $name.cu"
rm -rf "$dir/kernels"
with "no folder" 3 "No such file"
mkdir "$dir/kernels"
with "an empty folder" 3 "there is no kernel in it"
"$lcwc" train $net --kernels="$dir/emitted" -o "$dir/host" >"$dir/said" 2>&1
[ $? = 2 ] && grep -q "help: --device=cuda" "$dir/said" && verdict "on the host" 1 || verdict "on the host" 0

# In low precision as well: bounds know what is rounded.
for precision in tf32 bf16; do
  rm -rf "$dir/emitted" "$dir/kernels"
  more="--precision=$precision"
  "$lcwc" emit $net $more --emit=cuda -o "$dir/emitted" >"$dir/said" 2>&1 || verdict "emit" 0
  edit "$forward" 's/sigmoid_of(\(sum[^)]*\))/0.5f + 0.5f * tanh_of(0.5f * \1)/'
  with "another formula in $precision" 0 "$name is edited"
  edit "$forward" 's/\(sum\[.*\] = v[0-9]*\[h\]\) + v[0-9]*\[h\];/\1;/'
  with "a term dropped in $precision" 5 "$name is wrong"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
