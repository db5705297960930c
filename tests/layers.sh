#!/bin/sh
# layers.sh: the walls of the project, read from the #include lines. Ends in N passed, N failed.
#
#   runtime/   includes runtime/ only
#   codegen/   sees kernels and plans: never the graph, the tree or the front end
#   grammar/   sees the tree and diagnostics
#   compiler/  a room may include what is in the rooms before it, in the order below
#   LLVM       in codegen/host*, codegen/object.c only; CUDA's headers nowhere
passed=0 failed=0
verdict() { # what, offending lines
  if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n%s\n' "$1" "$2"; fi
}
includes() { grep -HnE '^ *# *include "' "$@" | sed 's/# *include *//'; }

own=$(ls runtime/*.h runtime/*.def | sed 's|runtime/||' | tr '\n' '|')
verdict "runtime/ includes runtime/ only" "$(includes runtime/*.[ch] | grep -vE "\"(${own%|})\"")"
verdict "codegen/ never sees graph, tree or front end" \
  "$(includes codegen/*.[ch] | grep -E '"(graph|ast|front|model|expand|value|sets|fuse|lower|pass|check|parse)\.h"')"
verdict "grammar/ sees tree and diagnostics only" \
  "$(includes grammar/*.[ly] | grep -E '"(graph|kernel|plan|model|expand|pass)\.h"')"
verdict "LLVM stays in codegen/host*.c and object.c" \
  "$(grep -lE '# *include <llvm-c' compiler/* compiler/*/* codegen/* runtime/* grammar/* 2>/dev/null | grep -vE 'codegen/(host.*|object)\.[ch]')"
verdict "no header of CUDA" "$(grep -nE '# *include <(cuda|nvrtc)' compiler/* compiler/*/* codegen/* runtime/* 2>/dev/null)"

# Rooms of compiler/, the first stage first. What lies in compiler/ itself is the pipeline, which sees
# all, and what all see.
order="parse check graph expand lower command"
common="util diag diag_part limits seed"
bad= seen=
for room in $order; do
  for used in $(sed -nE 's/^ *# *include "([a-z_]+)\.(h|def)".*/\1.\2/p' compiler/$room/*.[ch] | sort -u); do
    for later in $order; do
      case " $seen $room " in *" $later "*) continue ;; esac
      [ -e "compiler/$later/$used" ] && bad="$bad $room/ includes $later/$used;"
    done
    stem=${used%.*}
    [ $room = command ] || [ ! -e "compiler/$used" ] || echo " $common " | grep -q " $stem " ||
      bad="$bad $room/ includes $used;"
  done
  seen="$seen $room"
done
[ -n "$(includes compiler/lower/kernel.h | grep graph.h)" ] && bad="$bad kernel.h includes graph.h;"
verdict "rooms include earlier rooms only" "$bad"
build=${BUILD:-build}
verdict "no mutable variable outlives a function" "$(objdump -t $build/liblcwc.a $build/liblcwrt.a 2>/dev/null |
  awk '/^[a-z_0-9.]+\.o:/ { file = $1 } $4 ~ /^\.(data|bss)$/ && $NF !~ /^\./ || $5 ~ /^\.(data|bss)$/ && $NF !~ /^\./ { print file, $NF }' |
  grep -v '^lcwnet')"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
