#!/bin/sh
# cuda_resume.sh: on the simulated CUDA device a run that was stopped and went on, and a trainer that was
# built, leave the very bytes of one that did neither. In: tests/whole/mlp.lcwnet in lcw, both fused forms, three
# precisions, two optimisers. Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
sim="--device=cuda --driver=sim --sim-checks=none" # other tests check the kernels
net="tests/whole/mlp.lcwnet mlp -w --set batch=130" # an epoch: 4 steps, each of more rows than a tile

must() { # what it is, a command that must end with 0
  what=$1; shift
  "$@" >"$dir/said" 2>&1 && return 0
  failed=$((failed + 1)); echo "FAILED: $what: exit $?"; cat "$dir/said"; return 1
}
verdict() { # what it is, 1 if it holds
  if [ "$2" = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; cat "$dir/said"; fi
}
same() { # what it is, two runs
  cmp "$dir/$2/last.safetensors" "$dir/$3/last.safetensors" >"$dir/said" 2>&1 && verdict "$1" 1 || verdict "$1" 0
}
heard() { # what it is, words that were said
  grep -q "$2" "$dir/said" && verdict "$1" 1 || verdict "$1" 0
}
silent() { ! grep -q "$2" "$dir/said" || verdict "$1: it says $2" 0; }

if "$lcwc" info | grep -q 'CUDA compiler  *none'; then
  echo "skipped: no compiler of CUDA text (NVRTC or clang-19)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi

for lower in fused:epilogue fused:update; do
  for precision in fp32 tf32 bf16; do
    for optimizer in "sgd(momentum = 0.9)" "adam()"; do
      what="$lower, $precision, $optimizer"
      train() { must "$what" "$lcwc" train $net --lower=$lower --precision=$precision --set "optimizer=$optimizer" $sim "$@"; }
      train --steps 8 -o "$dir/whole" --overwrite && train --steps 5 -o "$dir/halves" --overwrite &&
        train --steps 8 --resume="$dir/halves" && silent "$what" "bit for bit" && same "$what" whole halves
    done
  done
done

# Stopped in the middle of an epoch, whenever the signal comes.
train() { must "stopped by a signal" "$lcwc" train tests/whole/mlp.lcwnet mlp -w $sim "$@"; }
train --steps 40 -o "$dir/whole" --overwrite
"$lcwc" train tests/whole/mlp.lcwnet mlp -w $sim --steps 40 --log=step -o "$dir/stopped" >"$dir/said" 2>&1 &
tries=0
until [ -s "$dir/stopped/metrics.jsonl" ] || [ $tries -eq 300 ]; do tries=$((tries + 1)); sleep 0.1; done
kill -TERM $!
wait $! 2>/dev/null
heard "a signal stops it" "stopped after step"
train --steps 40 --resume="$dir/stopped" && same "stopped by a signal" whole stopped

# What another device or lowering goes on with is computed anew, and that is said.
lower() { must "$what" "$lcwc" train $net "$@"; }
what="from the device to the host"
lower --steps 4 $sim -o "$dir/moved" --overwrite && lower --steps 8 --resume="$dir/moved" && heard "$what" "not bit for bit.*before: cuda sm_"
what="from the host to the device"
lower --steps 12 $sim --resume="$dir/moved" && heard "$what" "not bit for bit.*by cuda sm_.*before: host"
what="to another lowering"
lower --steps 16 --lower=unfused --resume="$dir/moved" $sim && heard "$what" "not bit for bit.*before: cuda sm_"

# A trainer that was built takes its PTX there, as the compiler at hand made it, and leaves the same bytes.
compiler=clang
"$lcwc" info | grep -q 'CUDA compiler.*NVRTC' && compiler=nvrtc
images=host,sm_80,ptx
[ $compiler = clang ] && images=host,ptx
what="the trainer"
driver="--device=cuda --driver=$(realpath "${BUILD:-build}")/liblcwsim.so --sim-checks=none"
must "$what" "$lcwc" build $net --target=$images --cuda-compiler=$compiler -o "$dir/trainer" &&
  must "$what" "$lcwc" train $net --cuda-compiler=$compiler $driver --steps 8 -o "$dir/whole" --overwrite &&
  must "$what" "$dir/trainer" $driver --steps 8 -o "$dir/built" && same "$what" whole built &&
  must "$what" "$dir/trainer" $driver --steps 4 -o "$dir/built" --overwrite &&
  must "$what" "$dir/trainer" $driver --steps 8 --resume="$dir/built" && same "$what, stopped" whole built &&
  must "$what" "$dir/trainer" --steps 8 -o "$dir/host" --overwrite && must "$what" "$lcwc" train $net --steps 8 -o "$dir/whole" --overwrite &&
  same "$what on the host" whole host
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
