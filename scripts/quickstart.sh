#!/bin/sh
# npm run quickstart: gets what is missing, builds, and shows the main job on a disposable cluster: back up, write, lose
# a table, come back to the instant before.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

scripts/bootstrap.sh run
scripts/node24 node scripts/build.ts
exec scripts/node24 node scripts/quickstart.ts "$@"
