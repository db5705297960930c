#!/bin/sh
# check_gpu.sh: what `make check-gpu` runs: the CUDA target on a device, and then its speed.
#
#   kernels    functions, random maps and rows, contractions with every tile, against float64 (gpu_kernels)
#   gradcheck  every kernel of a training step of networks, at sizes that straddle the tiles, in fp32, tf32, bf16
#   training   ten steps against the host; twice the same; stopped and resumed, the very bytes
#   sanitizer  a run under compute-sanitizer's four tools, if it is installed
#   speed      a training step of two MLPs beside PyTorch, if it is installed: a table, also in $BUILD/check-gpu.md
#
# DRIVER=sim runs all of it on the simulated device (its speed says nothing of a GPU, so networks are tiny then); DRIVER=PATH
# names another libcuda. Without a device it is skipped. Ends in N passed, N failed, N skipped.
build=${BUILD:-build}
lcwc=$build/lcwc

# What it takes to build it: with --needs, says what is missing.
need() { # package, a command or file of it
  case $2 in
    /*) [ -e "$2" ] ;;
    *) command -v "$2" >/dev/null 2>&1 ;;
  esac || missing="$missing $1"
}
if [ "$1" = --needs ]; then
  need gcc gcc; need binutils ar; need flex flex; need bison bison
  need llvm-19-dev "${LLVM_CONFIG:-llvm-config-19}"; need zlib1g-dev /usr/include/zlib.h
  need libjansson-dev /usr/include/jansson.h; need libcmocka-dev /usr/include/cmocka.h
  [ -n "$missing" ] || exit 0
  echo "error: make check-gpu builds lcwc first, and these are missing:$missing" >&2
  echo "help: apt-get install$missing; or build on another machine and copy $build with the sources" >&2
  exit 4
fi

dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
library=$DRIVER
[ "$DRIVER" != sim ] || library=$(realpath "$build/liblcwsim.so")
option=${DRIVER:+--driver=$DRIVER}
cuda="--device=cuda $option"

verdict() { # what it is, exit code
  if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1: exit $2"; tail -n 30 "$dir/said"; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }
ends() { echo "$passed passed, $failed failed, $skipped skipped"; [ $failed = 0 ]; exit; }
try() { # what it is, a command that must end with 0
  what=$1; shift
  "$@" >"$dir/said" 2>&1
  verdict "$what" $?
}
add() { # adds the last line of a program of tests/ to the sums
  out=$("$@" 2>&1); code=$?
  echo "$out" | grep -E '^(FAIL|skip)' | head -40
  set -- $(echo "$out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' | tail -1)
  [ $code = 0 ] || [ "${2:-0}" != 0 ] || { failed=$((failed + 1)); echo "FAILED: exit $code"; }
  passed=$((passed + ${1:-0})) failed=$((failed + ${2:-0})) skipped=$((skipped + ${3:-0}))
}

# ---- is there a compiler, a device? ----
if ! "$lcwc" info | grep -q '^CUDA compiler  *NVRTC'; then # PyTorch brings NVRTC along, where nobody else looks
  for file in $(python3 -c 'import site; print(*site.getsitepackages(), site.getusersitepackages())' 2>/dev/null); do
    for file in "$file"/nvidia/*/lib/libnvrtc.so.1[23]; do [ -e "$file" ] && export LCWC_NVRTC="$file"; done
  done
fi
"$lcwc" train tests/whole/tiny.lcwnet tiny $cuda --steps 0 -o "$dir/first" >"$dir/said" 2>&1
code=$?
if [ $code = 4 ]; then cat "$dir/said"; skip "make check-gpu: no CUDA device, or no compiler for it (make check-gpu DRIVER=sim tries it without)"; ends; fi
verdict "the first run" $code
[ $code = 0 ] || ends
device=$(grep -o '"device":"[^"]*"' "$dir/first/run.json" 2>/dev/null | head -1 | cut -d'"' -f4)
about=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1)
[ "$DRIVER" = sim ] && about="simulated device"
echo "== ${about:-$device}"

echo "== kernels"
if [ -x "$build/tests/gpu_kernels" ]; then add "$build/tests/gpu_kernels" "$library"
else skip "gpu_kernels is not built"; fi

echo "== gradcheck"
sizes='mlp.lcwnet -Dwidth=17:mlp.lcwnet -Dwidth=128 --set batch=128:mlp.lcwnet -Dwidth=132 --set batch=130'
for net in activations bn dropout free halves layernorm mlp mse split tiny; do sizes="$sizes:$net.lcwnet"; done
precisions="fp32 tf32 bf16"
IFS=:
for net in $sizes; do
  IFS=' '
  for precision in $precisions; do
    [ "$DRIVER" = sim ] && [ "$net" != tiny.lcwnet ] && [ $precision != tf32 ] && continue
    try "gradcheck $net, $precision" "$lcwc" gradcheck "tests/whole/${net%% *}" $(echo "$net " | cut -d' ' -f2-) $cuda --precision=$precision -w
  done
  IFS=:
done
unset IFS

echo "== training"
CUDA_OPTIONS=$cuda
export CUDA_OPTIONS
add tests/cuda_train.sh
for precision in $precisions; do
  run() { "$lcwc" train tests/whole/mlp.lcwnet mlp $cuda --precision=$precision -q "$@" >>"$dir/said" 2>&1; }
  : >"$dir/said"
  run --steps 12 -o "$dir/whole" --overwrite && run --steps 12 -o "$dir/again" --overwrite &&
    run --steps 7 -o "$dir/parts" --overwrite && run --steps 12 --resume="$dir/parts"
  verdict "training in $precision" $?
  cmp "$dir/whole/last.safetensors" "$dir/again/last.safetensors" >>"$dir/said" 2>&1; verdict "two runs in $precision are the same" $?
  cmp "$dir/whole/last.safetensors" "$dir/parts/last.safetensors" >>"$dir/said" 2>&1; verdict "resumed in $precision, the same" $?
done

echo "== compute-sanitizer"
PATH=$PATH:/usr/local/cuda/bin:/opt/cuda/bin
if [ "$DRIVER" = sim ]; then skip "compute-sanitizer: the simulated device has its own checks"
elif command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck initcheck; do
    try "$tool" compute-sanitizer --tool $tool --error-exitcode 99 "$lcwc" train tests/whole/mlp.lcwnet mlp $cuda --steps 2 -q -o "$dir/$tool"
  done
else skip "compute-sanitizer is not installed (NVIDIA's package cuda-sanitizer-13-0)"; fi

# ---- speed ----
python=
for candidate in python3 /usr/bin/python3; do
  command -v $candidate >/dev/null && $candidate -c 'import torch' 2>/dev/null && python=$candidate && break
done
sed 's/^data fashion.*/data fashion { source = synthetic(shape = [1, 28, 28], classes = 10, samples = 4096, test = 128); }/' examples/mlp.lcwnet >"$dir/mlp.lcwnet"
steps=300 nets="50,256 10,1024" where=
[ "$DRIVER" = sim ] && steps=2 nets="2,32" where=cpu
table=$build/check-gpu.md
ours() { # depth, width, precision, more: ms of a training step
  "$lcwc" train "$dir/mlp.lcwnet" mlp -D depth="$1" -D width="$2" --precision="$3" $4 $cuda --steps $steps --json -o "$dir/timed" --overwrite -q \
    2>"$dir/said" | sed -n 's/.*"step_ms":\([0-9.eE+-]*\).*/\1/p' | awk '{ printf "%.4f", $1 }'
}
{
  echo "${about:-$device}, $(date -u +%F): ms of a training step, batch 128, 784 inputs; PyTorch: nn.Linear without a set"
  echo
  echo "| layers | precision | lcwc free | lcwc lcw | PyTorch eager | compiled | eager, CUDA graph | compiled, CUDA graph |"
  echo "|---|---|---|---|---|---|---|---|"
  for net in $nets; do
    for precision in $precisions; do
      : >"$dir/torch"
      [ -z "$python" ] || $python tests/check_gpu_torch.py ${net%,*} ${net#*,} $precision $where >"$dir/torch" 2>>"$dir/torch.said"
      way() { awk -v way="$1" '$1 == way { print $2; found = 1 } END { if (!found) print "-" }' "$dir/torch"; }
      echo "| ${net%,*} x ${net#*,} | $precision | $(ours ${net%,*} ${net#*,} $precision "-D W=free") | $(ours ${net%,*} ${net#*,} $precision) |" \
        "$(way eager) | $(way compiled) | $(way eager,graph) | $(way compiled,graph) |"
    done
  done
} >"$table"
echo "== speed (for docs/gpu.md, in $table)"
cat "$table"
rows=$(grep -cE '^\| [0-9]+ x [0-9]+ \| [a-z0-9]+ \| [0-9.]+ \| [0-9.]+ \|' "$table")
[ "$rows" = $(($(echo $nets | wc -w) * 3)) ]; verdict "every network was timed" $?
[ -n "$python" ] || skip "speed beside PyTorch: it is not installed (pip install torch, or Debian's python3-torch-cuda)"
[ ! -s "$dir/torch.said" ] || sort -u "$dir/torch.said"
ends
