#!/bin/sh
# cuda_warm.sh: a start from the cache needs NVRTC to be there and does not load it. Its file is replaced by one that cannot be
# loaded: of the same size and time it is not noticed while the cache has the image, and said when it has not; any other is.
# Ends in N passed, N failed, N skipped.
lcwc=$(realpath "${BUILD:-build}/lcwc")
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
export XDG_CACHE_HOME="$dir/cache"
mkdir "$XDG_CACHE_HOME"

emit() { # code, text, options: it ends so and says so; without an error, the image is the first one
  code=$1 text=$2; shift 2
  "$lcwc" emit tests/whole/tiny.lcwnet --emit=ptx -o "$dir/out.ptx" "$@" >"$dir/said" 2>&1
  got=$?
  [ -e "$dir/first" ] || cp "$dir/out.ptx" "$dir/first"
  if [ $got -eq "$code" ] && { [ -z "$text" ] || grep -qF -- "$text" "$dir/said"; } && { [ $got -ne 0 ] || cmp "$dir/out.ptx" "$dir/first"; } >>"$dir/said" 2>&1
  then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what: exit $got"; sed 's/^/    | /' "$dir/said"; fi
}

"$lcwc" emit tests/whole/tiny.lcwnet --emit=ptx -o "$dir/out.ptx" >/dev/null 2>&1
real=$("$lcwc" cache list | sed -n 's/.*the version of \(.*\), [0-9]* bytes of .*/\1/p')
if [ -z "$real" ]; then
  echo "skipped: NVRTC is not here"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
export LCWC_NVRTC="$dir/libnvrtc.so"
for part in "${real%/*}"/libnvrtc-builtins*; do ln -s "$part" "$dir"; done
ln -s "$real" "$LCWC_NVRTC"
what="compiled"; emit 0 ""
rm "$LCWC_NVRTC" && truncate -r "$real" "$LCWC_NVRTC" && touch -r "$real" "$LCWC_NVRTC" # as large, as old, and no library
what="from the cache"; emit 0 ""
what="another image"; emit 4 "NVRTC cannot be loaded from $LCWC_NVRTC" --target=sm_90
what="another image, no cache"; emit 4 "NVRTC cannot be loaded" --no-cache --cuda-compiler=nvrtc
touch "$LCWC_NVRTC"
what="a newer file"; emit 4 "NVRTC cannot be loaded" --cuda-compiler=nvrtc
touch -r "$real" "$LCWC_NVRTC" && truncate -s -1 "$LCWC_NVRTC" && touch -r "$real" "$LCWC_NVRTC"
what="a shorter file"; emit 4 "NVRTC cannot be loaded" --cuda-compiler=nvrtc
rm "$LCWC_NVRTC"
what="no file"; emit 4 "cuda-nvrtc-13-0" --cuda-compiler=nvrtc
ln -s "$real" "$LCWC_NVRTC"
what="there again, from the cache"; emit 0 ""
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
