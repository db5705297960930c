#!/bin/sh
# goldens.sh [--bless]: what every pass makes of tests/whole/tiny.lcwnet, against
# tests/golden/tiny.PASS; --bless accepts it as it is now. check and tile print what the pass before
# them printed, object prints nothing. Ends in `N passed, N failed, N skipped`.
lcwc=${LCWC:-${BUILD:-build}/lcwc}
net=tests/whole/tiny.lcwnet
now=$(mktemp) || exit 70
trap 'rm -f "$now"' EXIT
passed=0 failed=0
for pass in parse expand simplify fuse maintain lower plan; do
  golden=tests/golden/tiny.$pass
  if ! "$lcwc" emit "$net" --dump=$pass --stop=$pass >"$now"; then
    echo "FAILED: $lcwc emit $net --dump=$pass --stop=$pass"
    failed=$((failed + 1))
  elif [ "$1" = --bless ]; then
    cmp -s "$now" "$golden" || { cp "$now" "$golden" && chmod 644 "$golden" && echo "$golden is new"; }
    passed=$((passed + 1))
  elif cmp -s "$golden" "$now"; then
    passed=$((passed + 1))
  else
    diff -u "$golden" "$now" | head -n 30
    echo "FAILED: $lcwc emit $net --dump=$pass --stop=$pass differs from $golden (make bless accepts it)"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
