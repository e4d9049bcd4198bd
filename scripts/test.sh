#!/bin/sh
# npm test: gets what is missing, builds, and runs every test that this machine can run.
# Arguments go to vitest: npm test -- test/unit/domain, npm test -- -t 'part of a name'.
# The last line is `N passed, N failed, N skipped`, and what failed stands just before it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# vitest prints errors to stderr: in one stream they stay before the last line.
exec 2>&1
if [ ! -t 1 ]; then
  NO_COLOR=1
  export NO_COLOR
fi

scripts/bootstrap.sh test
scripts/node24 node scripts/build.ts
exec scripts/node24 vitest run "$@"
