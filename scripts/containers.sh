#!/bin/bash
# npm run test:containers: the cluster of docker-compose.yml on a real Docker engine. Arguments go to vitest.
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
exec 2>&1
readonly BUILD_TIMEOUT_S=300 TEST_TIMEOUT_S=480

if [ "${1:-}" = --inside ]; then
  shift
  say_failed() {
    echo "containers: $*"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
  }
  start=$SECONDS
  COMPOSE_PROFILES=${COMPOSE_PROFILES:-ceph} timeout "$BUILD_TIMEOUT_S" docker compose build --quiet || say_failed "the images could not be built"
  echo "containers: images built in $((SECONDS - start)) s"
  SPOKE_CONTAINERS=1 timeout --kill-after=30 "$TEST_TIMEOUT_S" scripts/node24 vitest run --project containers "$@"
  status=$?
  [ "$status" -ne 124 ] || say_failed "the tests took longer than $TEST_TIMEOUT_S s"
  exit "$status"
fi

if [ ! -t 1 ]; then export NO_COLOR=1; fi
if ! { scripts/bootstrap.sh containers && scripts/node24 node scripts/build.ts; }; then
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi
# No image of testcontainers' own is needed, nor could it be had everywhere: the tests take down what they put up.
TESTCONTAINERS_RYUK_DISABLED=true scripts/docker.sh "$0" --inside "$@"
status=$?
if [ "$status" -eq 75 ]; then
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
exit "$status"
