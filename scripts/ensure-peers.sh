#!/usr/bin/env bash
# Makes sure that what `make peers` compares dibs with is here: the servers of
# Redis and etcd. Postgres is seen to by ensure-test-tools.sh, and NATS comes as
# a Go library.
#
# Installs the distribution's packages where that needs no question: Debian or
# a relative of it, as root or with password-less sudo. Anywhere else it says
# what is missing and how to get it, and fails. The packages' own services are
# not started: the comparison starts servers of its own, in temporary folders.
set -euo pipefail

# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

need_redis() { ! command -v redis-server >/dev/null 2>&1; }
need_etcd() { ! command -v etcd >/dev/null 2>&1; }

missing() {
	local list=()
	if need_redis; then list+=("redis-server (7 or later)"); fi
	if need_etcd; then list+=("etcd (3.4 or later)"); fi
	[ ${#list[@]} -gt 0 ] && printf '  - %s\n' "${list[@]}"
}

explain() {
	cat >&2 <<TEXT
The comparison needs what is not on this machine:
$(missing)
How to get it:
  Debian, Ubuntu   sudo apt-get install redis-server etcd-server
  Fedora           sudo dnf install redis etcd
  macOS            brew install redis etcd
To leave systems out: make peers PEERS_ARGS="-only dibs,empty"
TEXT
	exit 1
}

main() {
	missing >/dev/null || return 0
	command -v apt-get >/dev/null 2>&1 || explain
	root=$(as_root) || explain
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	echo "The comparison needs more than is on this machine; installing with apt-get:"
	missing
	if need_redis; then install_unstarted redis-server || explain; fi
	if need_etcd; then install_unstarted etcd-server || explain; fi
	if missing >/dev/null; then explain; fi
}

main
