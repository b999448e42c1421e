# shellcheck shell=bash
# What every benchmark does first: build what it measures with, install the peers, go where nothing
# disturbs. Sourced, never run. PENSTOCK_BUILD=DIR takes the programs from another build tree, and
# builds nothing.
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

export PENSTOCK_BUILD
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  usage
  exit 0
fi

# build_release TARGET ...: in build/release, unless PENSTOCK_BUILD names another tree.
build_release() {
  if [[ -n ${PENSTOCK_BUILD:-} ]]; then return; fi
  PENSTOCK_BUILD=$root/build/release
  "$root/scripts/build" "$@"
}

# need PROGRAM PACKAGE: installs the package where the program is missing.
need() {
  if command -v "$1" >/dev/null; then return; fi
  if ((EUID != 0)); then die "$1 is missing; as root: apt-get install $2"; fi
  say "installing $2"
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install -qq --no-install-recommends)
  if "${install[@]}" "$2" >/dev/null 2>&1; then return; fi
  apt-get update -qq && "${install[@]}" "$2" >/dev/null
}

# measure SCRIPT ARGUMENT ...: becomes the measurement. As root it gets a network of its own: no port
# is taken, nothing of ours can be reached from outside, and TCP runs without BBR, whose pacing
# timers would be charged to all alike.
measure() {
  local script_path=$root/benchmarks/lib/$1
  shift
  ulimit -n "$(ulimit -Hn)"
  if ((EUID == 0)) && unshare --net true 2>/dev/null && command -v ip >/dev/null; then
    # shellcheck disable=SC2016  # Expanded by the inner shell.
    exec unshare --net -- bash -c \
      'ip link set lo up && sysctl -qw net.ipv4.tcp_congestion_control=reno; exec "$@"' measure \
      node "$script_path" "$@"
  fi
  exec node "$script_path" "$@"
}
