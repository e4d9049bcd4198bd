#!/bin/sh
# The static checks, all of them also where one fails: format, lint, types, layers, unused code.
# Prints what failed last, then `N passed, N failed` on the last line.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
output=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$output" "$failures"' EXIT
passed=0
failed=0

check() {
  name=$1
  shift
  if scripts/node24 "$@" >"$output" 2>&1; then
    passed=$((passed + 1))
    echo "✔ $name"
  else
    failed=$((failed + 1))
    echo "✖ $name"
    { echo; echo "✖ FAILED $name: npm run $name"; tail -n 200 "$output"; } >>"$failures"
  fi
}

if [ ! -t 1 ]; then
  NO_COLOR=1
  export NO_COLOR
fi
check format:check biome format --reporter=summary .
check lint eslint --max-warnings 0 .
check typecheck tsc -p .
check layers depcruise --config .dependency-cruiser.cjs src
check unused knip

cat "$failures"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
