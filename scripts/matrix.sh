#!/bin/bash
# npm run test:matrix: the tests that use real servers once more, on a machine with PostgreSQL 17 and pgBackRest 2.55.
#
# The machine is a Debian 13 made by debootstrap, in a folder of the user's cache: made once (a minute, 1 GB), used by
# chroot in namespaces of its own. Its mounts and processes are gone when this script is, however it ends.
# Arguments go to vitest. The last line is `N passed, N failed, N skipped`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/spoke-backup
machine=$cache/matrix-trixie
packages=(postgresql-17 pgbackrest pgbouncer patroni python3-etcd etcd-server openssl zstd lz4 age strace faketime procps openssh-server ca-certificates)
tests=(--project contract --project integration --project e2e)
# What PostgreSQL and pgBackRest decide; what only this program decides is the same on every version.
[ $# -gt 0 ] || set -- test/contract/backup-engine test/contract/native/incremental test/contract/native/by-hand test/contract/postgres test/contract/instance test/contract/hosts test/contract/pgbouncer test/contract/patroni test/e2e/ledger-targets test/e2e/ledger-promotion test/e2e/expire test/e2e/verify-and-history test/e2e/other-host test/e2e/doctor test/e2e/setup test/e2e/switchover test/e2e/failover test/e2e/reseed test/e2e/rejoin

say() { echo "matrix: $*"; }

skip() {
  echo "skipped: $*"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

give_up() {
  echo "matrix: $*"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

# --- Making the machine -----------------------------------------------------------------------------------------------

# The mirror that this machine's own apt uses; debootstrap's own choice where that is not Debian's.
debian_mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true
}

# Also tells a machine that an older version of this script made.
fingerprint() { echo "trixie ${packages[*]}"; }

make_machine() {
  local fresh=$machine.new-$$ log mirror
  mirror=$(debian_mirror)
  log=$(mktemp)
  # Expanded now: the names are local.
  # shellcheck disable=SC2064
  trap "rm -rf '$fresh' '$log'" EXIT
  say "making a Debian 13 in $machine (once: about a minute, 1 GB)"
  mkdir -p "$cache"
  # The mounts that debootstrap and packages make are in a namespace that ends with them.
  unshare --mount debootstrap --variant=minbase --include=ca-certificates trixie "$fresh" ${mirror:+"$mirror"} >"$log" 2>&1 ||
    give_up "debootstrap failed: $(tail -n 10 "$log")"
  cp /etc/resolv.conf "$fresh/etc/resolv.conf"
  cp /etc/ssl/certs/ca-certificates.crt "$fresh/etc/ssl/certs/ca-certificates.crt" 2>/dev/null || true
  apt-config dump | grep -iE '^Acquire::https?::' >"$fresh/etc/apt/apt.conf.d/50machine" || true
  mkdir -p "$fresh/etc/postgresql-common/createcluster.d"
  echo 'create_main_cluster = false' >"$fresh/etc/postgresql-common/createcluster.d/none.conf"
  printf '#!/bin/sh\nexit 101\n' >"$fresh/usr/sbin/policy-rc.d"
  chmod +x "$fresh/usr/sbin/policy-rc.d"
  say "installing ${packages[*]} in it"
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
      DEBIAN_FRONTEND=noninteractive exec chroot "$0" apt-get install -y -qq --no-install-recommends "$@"
  ' "$fresh" "${packages[@]}" >"$log" 2>&1 || give_up "apt-get install failed in the new machine: $(tail -n 10 "$log")"
  rm -rf "$fresh"/var/cache/apt/archives/*.deb
  fingerprint >"$fresh/etc/spoke-backup-matrix"
  rm -rf "$machine"
  mv "$fresh" "$machine"
  rm -f "$log"
  trap - EXIT
}

# --- Using it ---------------------------------------------------------------------------------------------------------

# In namespaces of its own, as their first process: what is mounted and started here ends with it.
# Nothing is deleted here: the checkout itself may be mounted below what looks like a temporary directory.
inside() {
  mount -t proc proc "$machine/proc"
  mount --rbind /dev "$machine/dev"
  mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm"
  mount --bind "$SPOKE_MATRIX_TMP" "$machine/tmp"
  mkdir -p "$machine$HOME" "$machine$root" "$machine$cache"
  mount --bind "$root" "$machine$root"
  # The packages of the S3 server are there.
  mount --bind "$cache" "$machine$cache"
  cp /etc/resolv.conf "$machine/etc/resolv.conf"

  local in_chroot=(chroot "$machine" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "HOME=$HOME" LANG=C.UTF-8 "XDG_CACHE_HOME=${cache%/*}"
    ${CI:+"CI=$CI"} ${NO_COLOR:+"NO_COLOR=$NO_COLOR"})
  say "$("${in_chroot[@]}" /usr/lib/postgresql/17/bin/postgres --version), $("${in_chroot[@]}" pgbackrest version)"
  # Not exec: the first process of a namespace has to pick up the orphans. In a session of its own, since the one that we
  # are in has no number in there.
  # shellcheck disable=SC2016
  "${in_chroot[@]}" sh -c 'cd "$0" && exec setsid --wait scripts/node24 vitest run "$@"' "$root" "${tests[@]}" "$@"
}

if [ -n "${SPOKE_MATRIX_TMP:-}" ]; then
  inside "$@"
  exit
fi

exec 2>&1
[ "$(uname -s)" = Linux ] || skip "the machine with PostgreSQL 17 is made by debootstrap, which needs Linux"
[ "$(id -u)" -eq 0 ] || skip "the machine with PostgreSQL 17 is entered by chroot, which needs root: sudo npm run test:matrix"
command -v apt-get >/dev/null ||
  skip "the machine with PostgreSQL 17 is made by debootstrap from this machine's Debian mirror, and this is not a Debian"
namespaces=$(unshare --mount --pid --ipc --fork true 2>&1) || skip "this machine lets even root make no namespaces, as a container does: $namespaces"

if [ ! -t 1 ]; then export NO_COLOR=1; fi
cd "$root"
scripts/bootstrap.sh matrix || give_up "see what is missing above"
scripts/node24 node scripts/build.ts || give_up "the program could not be built"

mkdir -p "$cache"
exec 9>"$cache/matrix.lock"
flock --nonblock 9 || { say "another run uses the machine; waiting for it"; flock 9; }
if [ "$(cat "$machine/etc/spoke-backup-matrix" 2>/dev/null)" != "$(fingerprint)" ]; then make_machine; fi

# The machine's /tmp. Removed from outside, where none of its mounts is seen.
tmp=$(mktemp -d "$cache/matrix-tmp.XXXXXX")
chmod 1777 "$tmp"
trap 'rm -rf --one-file-system "$tmp"' EXIT

# In the background, since bash runs a trap only when what it waits for is not in the foreground.
SPOKE_MATRIX_TMP=$tmp unshare --mount --pid --ipc --fork --kill-child "$0" "$@" 9>&- &
tests_pid=$!
stop() {
  kill -KILL "$tests_pid" 2>/dev/null || true
  wait "$tests_pid" 2>/dev/null || true
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM HUP
wait "$tests_pid"
