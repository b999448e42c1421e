# shellcheck shell=bash
# What every script here shares: where the tree is, how to speak, how many jobs to run.
# Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=${0##*/}
# shellcheck disable=SC2034  # For those who source this.
readonly root script

# Node brings its own list of authorities; let npm trust whom the machine trusts.
if [[ -z ${NODE_EXTRA_CA_CERTS-} && -f /etc/ssl/certs/ca-certificates.crt ]]; then
  export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
fi

# Talk goes to stderr, so that stdout is only what was asked for.
say() { printf '%s: %s\n' "$script" "$*" >&2; }

# Ends with the exit code for a usage or start error.
die() {
  say "$@"
  exit 2
}

# Prints the comment block that opens the calling script: its one and only manual.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# Compile jobs: one for each core, but no more than memory carries at 1 GiB each.
jobs_max() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
  if ((memory_gib < 1)); then memory_gib=1; fi
  echo $((cores < memory_gib ? cores : memory_gib))
}
