#!/bin/sh
# cuda_missing.sh: a machine without NVRTC, without clang-19, without a driver, each alone and
# together: the message says what to install, the exit code is 4, nothing is left behind, and the
# host target does what it does elsewhere. Ends in N passed, N failed, N skipped.
lcwc=${BUILD:-build}/lcwc
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
net="tests/whole/tiny.lcwnet tiny"
no_nvrtc=LCWC_NVRTC=/nowhere/libnvrtc.so no_clang=LCWC_CLANG=/nowhere/clang-19
sim="--device=cuda --driver=sim --steps 1 -q -o $dir/out"

verdict() { # what, condition that held
  if [ "$2" = yes ]; then passed=$((passed + 1)); else
    failed=$((failed + 1)); echo "FAILED: $1"; sed 's/^/    | /' "$dir/said"
  fi
}
# without "WHAT" CODE "TEXT|TEXT" COMMAND...: it ends so, says all of that, and leaves nothing
without() {
  tools=$1 code=$2 texts=$3 good=yes
  shift 3
  env $tools "$lcwc" "$@" >"$dir/said" 2>&1
  [ $? -eq "$code" ] || good=no
  for text in $(echo "$texts" | tr ' |' '_ '); do
    grep -qF -- "$(echo "$text" | tr '_' ' ')" "$dir/said" || good=no
  done
  [ "$code" -eq 0 ] || [ ! -e "$dir/out" ] || good=no
  rm -rf "$dir/out"
  verdict "without $tools: $1 ends with $code and says $texts" $good
}
# host "WHAT": the same weights as on a machine that has all
host() {
  good=no
  env $1 "$lcwc" train $net --steps 5 -q -o "$dir/host" --overwrite >"$dir/said" 2>&1 &&
    cmp -s "$dir/host/last.safetensors" "$dir/all/last.safetensors" && good=yes
  verdict "without $1: the host trains the same weights" $good
}

"$lcwc" train $net --steps 5 -q -o "$dir/all" >"$dir/said" 2>&1
both="$no_nvrtc $no_clang"
without "$both" 4 "cuda-nvrtc-13-0|--nvrtc=PATH|apt-get install clang-19" train $net $sim
without "$both" 4 "cuda-nvrtc-13-0|apt-get install clang-19" emit $net --emit=ptx -o "$dir/out"
without "$both" 4 "cuda-nvrtc-13-0" emit $net --emit=cubin -o "$dir/out"
without "$both" 4 "cuda-nvrtc-13-0" build $net --target=host,sm_80 -o "$dir/out"
without "$both" 4 "cuda-nvrtc-13-0" gradcheck $net --device=cuda --driver=sim
without "$both" 0 "entry " emit $net --emit=cuda
without "$both" 0 "cuda-nvrtc-13-0|apt-get install clang-19" info
without "$no_nvrtc" 4 "cuda-nvrtc-13-0" train $net $sim --cuda-compiler=nvrtc
without "$no_nvrtc" 4 "cuda-nvrtc-13-0" emit $net --emit=cubin -o "$dir/out"
without "$no_clang" 4 "apt-get install clang-19" train $net $sim --cuda-compiler=clang
without "" 4 "/nowhere/x.so|cuda-nvrtc-13-0" train $net $sim --nvrtc=/nowhere/x.so
for tools in "$no_nvrtc" "$no_clang"; do # the other one does it
  if env $tools "$lcwc" info | grep -q 'CUDA compiler  *none'; then
    echo "skipped: no other compiler of CUDA text without $tools"
    skipped=$((skipped + 1))
  else without "$tools" 0 "" train $net $sim; fi
done
if ldconfig -p 2>/dev/null | grep -q libcuda.so.1 || /sbin/ldconfig -p | grep -q libcuda.so.1; then
  echo "skipped: this machine has a CUDA driver"
  skipped=$((skipped + 3))
else
  for tools in "" "$no_nvrtc" "$both"; do
    without "$tools" 4 "no CUDA driver|nvidia-driver|--driver=sim|--device=host" \
      train $net --device=cuda --steps 1 -q -o "$dir/out"
  done
fi
for tools in "$no_nvrtc" "$no_clang" "$both"; do host "$tools"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
