#!/bin/bash
# scripts/docker.sh COMMAND...: runs it where there is a Docker engine with `docker compose` and the image debian:trixie-slim.
#
# The machine's own engine is used where it answers. Else Debian's docker.io is installed and a private engine started, with
# its own socket, namespace of mounts and data (in the user's cache, so that images are built once); it is ended by
# its pid when COMMAND is. Where the base image cannot be pulled, debootstrap makes it from the mirror of this machine's apt.
# Exit status: that of COMMAND; 75 with a line `skipped: why` where this machine cannot run containers.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/spoke-backup/docker
base=debian:trixie-slim
readonly START_TIMEOUT_S=60 PULL_TIMEOUT_S=60 MAKE_TIMEOUT_S=300

say() { echo "docker: $*"; }

skip() {
  echo "skipped: $*"
  exit 75
}

answers() { timeout 10 docker version >/dev/null 2>&1; }

# --- The engine -------------------------------------------------------------------------------------------------------

# None of the services of the packages is started: the engine that we use is our own.
install_engine() {
  local policy=/usr/sbin/policy-rc.d log
  if [ -x /usr/sbin/dockerd ] && command -v debootstrap >/dev/null; then return; fi
  say "installing docker.io with apt-get; none of its services is started"
  log=$(mktemp)
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    # shellcheck disable=SC2064
    trap "rm -f '$policy'" EXIT
  else
    policy=
  fi
  local apt=(timeout "$MAKE_TIMEOUT_S" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
  "${apt[@]}" install -y --no-install-recommends docker.io debootstrap debian-archive-keyring >"$log" 2>&1 ||
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends docker.io debootstrap debian-archive-keyring; } >"$log" 2>&1 ||
    skip "docker.io cannot be installed here: $(tail -n 3 "$log" | tr '\n' ' ')"
  rm -f "$log" ${policy:+"$policy"}
  trap - EXIT
}

# Called by a trap: ends the engine, which ends its containers, and removes what it left; its images stay in the cache.
# shellcheck disable=SC2317
end_engine() {
  [ -n "${engine:-}" ] || return 0
  kill -TERM "$engine" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}

start_engine() {
  [ "$(uname -s)" = Linux ] || skip "no Docker engine answers, and one can be started on Linux only"
  [ "$(id -u)" -eq 0 ] || skip "no Docker engine answers, and only root can start one"
  command -v apt-get >/dev/null || skip "no Docker engine answers, and this is no Debian to install one from"
  unshare --mount --fork true 2>/dev/null || skip "no Docker engine answers, and this machine lets even root make no namespaces"
  grep -q '	*overlay$' /proc/filesystems || modprobe overlay 2>/dev/null || skip "this machine's kernel has no overlay file system"
  [ -d /sys/fs/cgroup/cpu ] || [ -e /sys/fs/cgroup/cgroup.controllers ] || skip "this machine has no cgroups"
  install_engine
  mkdir -p "$cache/data"
  exec 9>"$cache/lock"
  flock --nonblock 9 || { say "another run uses the engine; waiting for it"; flock --timeout 900 9 || skip "another run uses the engine"; }
  work=$(mktemp -d /tmp/spd.XXXXXX)
  echo '{}' >"$work/daemon.json"
  # Its mounts are in a namespace that ends with it. No bridge, rules or forwarding of this machine's own network: containers
  # speak among themselves, and images are built with the machine's network.
  PATH=/usr/sbin:/usr/bin:/sbin:/bin unshare --mount --propagation private dockerd --config-file "$work/daemon.json" \
    --data-root "$cache/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "unix://$work/socket" \
    --bridge=none --iptables=false --ip-forward=false --ip-masq=false >"$work/log" 2>&1 9>&- &
  engine=$!
  trap end_engine EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # testcontainers would ask the bridge for it, and there is none.
  export DOCKER_HOST=unix://$work/socket BUILD_NETWORK=host TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
  # Debian's client, whatever else is called docker here.
  mkdir "$work/bin"
  ln -s /usr/bin/docker "$work/bin/docker"
  export PATH=$work/bin:$PATH
  for _ in $(seq $((START_TIMEOUT_S * 5))); do
    answers && break
    kill -0 "$engine" 2>/dev/null || skip "Docker's engine does not start here: $(grep -vE 'level=(info|debug)' "$work/log" | tail -n 3 | tr '\n' ' ')"
    sleep 0.2
  done
  answers || skip "Docker's engine did not answer within $START_TIMEOUT_S s"
  remove_leftovers
}

# Of a run that was killed. Everything in this engine is ours.
remove_leftovers() {
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  docker volume ls --quiet | xargs --no-run-if-empty docker volume rm --force >/dev/null
  docker network prune --force >/dev/null
}

# --- Base image and compose -------------------------------------------------------------------------------------------

debian_mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true
}

# The folder with a Debian 13, made once.
make_base() {
  local fresh=$cache/trixie.new-$$ mirror
  [ ! -d "$cache/trixie" ] || return 0
  mirror=$(debian_mirror)
  say "making a Debian 13 (once: about a minute)"
  mkdir -p "$cache"
  timeout "$MAKE_TIMEOUT_S" unshare --mount debootstrap --variant=minbase --include=ca-certificates trixie "$fresh" ${mirror:+"$mirror"} >"$fresh.log" 2>&1 ||
    { tail -n 5 "$fresh.log"; rm -rf "$fresh" "$fresh.log"; skip "debootstrap could not make the base image"; }
  cp /etc/ssl/certs/ca-certificates.crt "$fresh/etc/ssl/certs/ca-certificates.crt" 2>/dev/null || true
  apt-config dump | grep -iE '^Acquire::https?::' >"$fresh/etc/apt/apt.conf.d/50machine" || true
  rm -rf "$fresh"/var/cache/apt/archives/*.deb "$fresh.log"
  mv "$fresh" "$cache/trixie"
}

ensure_base() {
  docker image inspect "$base" >/dev/null 2>&1 && return
  timeout "$PULL_TIMEOUT_S" docker pull --quiet "$base" >/dev/null 2>&1 && return
  say "no registry gives $base"
  { [ "$(id -u)" -eq 0 ] && command -v debootstrap >/dev/null; } || skip "$base can neither be pulled nor, without root and debootstrap, be made"
  make_base
  tar -C "$cache/trixie" -c . | docker import - "$base" >/dev/null
}

# `docker compose` is a plugin that Debian has since 13; it is unpacked into the cache, not installed.
ensure_compose() {
  docker compose version >/dev/null 2>&1 && return
  local plugins=$cache/config/cli-plugins
  if [ ! -x "$plugins/docker-compose" ]; then
    make_base
    say "getting docker compose from Debian 13"
    mkdir -p "$plugins"
    timeout "$MAKE_TIMEOUT_S" chroot "$cache/trixie" sh -c 'rm -rf /tmp/deb && mkdir -p /tmp/deb && cd /tmp/deb && apt-get update -qq && apt-get download -qq docker-compose' >/dev/null 2>&1 ||
      skip "docker compose is missing and Debian 13's could not be downloaded"
    dpkg-deb --extract "$cache/trixie"/tmp/deb/docker-compose_*.deb "$cache/trixie/tmp/deb/tree"
    cp "$cache/trixie/tmp/deb/tree/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/docker-compose.new"
    mv "$plugins/docker-compose.new" "$plugins/docker-compose"
    rm -rf "$cache/trixie/tmp/deb"
  fi
  export DOCKER_CONFIG=$cache/config
  docker compose version >/dev/null 2>&1 || skip "docker compose does not run here: $(docker compose version 2>&1 | tail -n 1)"
}

[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$root"
answers || start_engine
ensure_compose
ensure_base
# In the background, since bash runs a trap only when what it waits for is not in the foreground.
"$@" &
command_pid=$!
status=0
wait "$command_pid" || status=$?
exit "$status"
