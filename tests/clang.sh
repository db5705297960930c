#!/bin/sh
# clang.sh: clang has nothing to say of the sources either.
command -v clang-19 >/dev/null || { echo "0 passed, 0 failed, 1 skipped (clang-19 is not installed)"; exit 0; }
make -s --no-print-directory BUILD="${BUILD:-build}" warnings && echo "1 passed, 0 failed, 0 skipped" ||
  { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
