#!/usr/bin/env bash
# Makes sure that what the tests need besides Go is here: Postgres (its server
# programs; the tests start a private cluster of their own), Chromium (the tests
# of the page), Kamailio and sipp (those of examples/kamailio), libfaketime (the
# clocks of integration/chaos), a C compiler (the race detector links with it) and curl (the
# README's walk-through).
#
# With --no-cc a C compiler is not asked for: without -race nothing needs it. With
# --postgres nothing is but that: the walk-through of a cluster needs no more.
#
# Installs the distribution's packages where that needs no question: Debian or
# a relative of it, as root or with password-less sudo. Ubuntu's chromium
# package is not the browser, so there that one is left to the user. Anywhere else it says
# what is missing and how to get it, and fails: a test that is left out in
# silence proves nothing.
set -euo pipefail

# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

readonly min_postgres=15
readonly kamailio_packages=(kamailio kamailio-nats-modules kamailio-utils-modules kamailio-extra-modules)
with_cc=yes
if [ "${1:-}" = --no-cc ]; then with_cc=no; fi
postgres_only=no
if [ "${1:-}" = --postgres ]; then postgres_only=yes; fi

# has_postgres looks where the tests look (persistence/pgtest): on the PATH,
# where pg_config points to, and where Debian keeps the programs off the PATH.
has_postgres() {
	local dir version
	for dir in \
		"$(dirname "$(readlink -f "$(command -v postgres || true)")")" \
		"$(pg_config --bindir 2>/dev/null || true)" \
		/usr/lib/postgresql/*/bin; do
		if [ ! -x "$dir/initdb" ] || [ ! -x "$dir/postgres" ]; then continue; fi
		version=$("$dir/postgres" --version | sed -n 's/[^0-9]*\([0-9]*\).*/\1/p')
		if [ "${version:-0}" -ge "$min_postgres" ]; then return 0; fi
	done
	return 1
}

need_postgres() { ! has_postgres; }
# need_chromium looks under the names that the tests look under
# (integration/browser). What must answer is the program itself: Ubuntu has a
# command of that name which only says where to get it.
need_chromium() {
	local name
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		if "$name" --version >/dev/null 2>&1; then return 1; fi
	done
	return 0
}

# need_kamailio looks where the tests look (integration/sip): on the PATH, and
# where Debian keeps the programs of administrators off it. Some of the modules that
# the example loads are packages of their own.
need_kamailio() {
	local program module dir
	for program in kamailio kamcmd; do
		if ! PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$program" >/dev/null 2>&1; then return 0; fi
	done
	while IFS= read -r module; do
		for dir in /usr/lib/*/kamailio/modules /usr/lib/kamailio/modules /usr/lib64/kamailio/modules /usr/local/lib*/kamailio/modules; do
			if [ -e "$dir/$module.so" ]; then continue 2; fi
		done
		return 0
	done < <(sed -n 's/^loadmodule "\(.*\)\.so"$/\1/p' "$(dirname "$0")/../examples/kamailio/kamailio.cfg")
	return 1
}
# need_faketime looks where the tests look (integration/chaos). It exists for
# Linux alone; where there is none they say that Postgres's clock was not moved.
need_faketime() {
	[ "$(uname -s)" = Linux ] || return 1
	local file
	for file in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1 /usr/local/lib/faketime/libfaketime.so.1; do
		if [ -e "$file" ]; then return 1; fi
	done
	return 0
}
need_sipp() { ! command -v sipp >/dev/null 2>&1; }

need_cc() { [ "$with_cc" = yes ] && ! command -v "$(go env CC 2>/dev/null || echo cc)" >/dev/null 2>&1; }
need_curl() { ! command -v curl >/dev/null 2>&1; }

# install_postgres keeps the package from making and starting a cluster of its
# own: the tests do not use it, and it would take the usual port.
install_postgres() {
	local conf=/etc/postgresql-common/createcluster.conf
	if [ -e "$conf" ]; then # somebody set this machine up: their rules
		install_packages postgresql
		return
	fi
	install_packages postgresql-common
	"$root" sed -i.dibs -E 's/^#?create_main_cluster.*/create_main_cluster = false/' "$conf"
	local rc=0
	install_packages postgresql || rc=$?
	"$root" mv "$conf.dibs" "$conf"
	return "$rc"
}

# install_chromium takes Debian's package. Ubuntu's of the same name fetches a
# snap, which can neither run in a container nor see the tests' folders.
install_chromium() {
	grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null && return 1
	install_packages chromium
}

# install_kamailio keeps the package from starting Kamailio on the usual ports:
# the tests start their own. On a machine that has it already nothing changes.
install_kamailio() {
	if PATH="$PATH:/usr/sbin" command -v kamailio >/dev/null 2>&1; then
		install_packages "${kamailio_packages[@]}"
	else
		install_unstarted "${kamailio_packages[@]}"
	fi
}

missing() {
	local list=()
	if need_postgres; then list+=("PostgreSQL $min_postgres or later (initdb, postgres)"); fi
	if [ "$postgres_only" = no ]; then missing_of_tests; fi
	[ ${#list[@]} -gt 0 ] && printf '  - %s\n' "${list[@]}"
}

# missing_of_tests adds to the list of missing.
missing_of_tests() {
	if need_chromium; then list+=("Chromium (for the tests of the page)"); fi
	if need_kamailio; then list+=("Kamailio 5.6 or later with all modules that examples/kamailio loads, nats, http_client and jansson among them (for the tests of examples/kamailio)"); fi
	if need_sipp; then list+=("sipp (for the same)"); fi
	if need_faketime; then list+=("libfaketime (moves the clock of Postgres in integration/chaos)"); fi
	if need_cc; then list+=("a C compiler (for go test -race)"); fi
	if need_curl; then list+=("curl"); fi
}

explain() {
	cat >&2 <<EOF
The tests need what is not on this machine:
$(missing)
How to get it:
  Debian           sudo apt-get install postgresql chromium gcc libc6-dev curl sip-tester libfaketime
                   sudo apt-get install ${kamailio_packages[*]}
                   (Postgres older than $min_postgres there: https://wiki.postgresql.org/wiki/Apt)
  Ubuntu           sudo apt-get install postgresql gcc libc6-dev curl sip-tester libfaketime
                   sudo apt-get install ${kamailio_packages[*]}
                   Chromium is a snap there: sudo snap install chromium, or install Google
                   Chrome's package (https://www.google.com/chrome/)
  Fedora, RHEL     sudo dnf install postgresql-server chromium gcc curl libfaketime
  Alpine           sudo apk add postgresql chromium gcc musl-dev curl
  macOS            brew install postgresql@17 (and put its bin folder on the PATH)
                   Chromium or Chrome, with a command "chromium" on the PATH that starts it
                   xcode-select --install
Where Kamailio or sipp is not packaged (macOS, Alpine's sipp), all but one package can be
tested: go test \$(go list ./... | grep -v integration/sip)
No server has to be running: the tests start one of their own in a temporary folder.
EOF
	exit 1
}

main() {
	missing >/dev/null || return 0
	command -v apt-get >/dev/null 2>&1 || explain
	root=$(as_root) || explain
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	echo "The tests need more than is on this machine; installing with apt-get:"
	missing
	if need_postgres; then install_postgres || explain; fi
	if [ "$postgres_only" = yes ]; then return; fi
	if need_cc; then install_packages gcc libc6-dev || explain; fi
	if need_curl; then install_packages curl ca-certificates || explain; fi
	if need_sipp; then install_packages sip-tester || explain; fi
	if need_faketime; then install_packages libfaketime || explain; fi
	if need_kamailio; then install_kamailio || explain; fi
	if need_chromium; then install_chromium || explain; fi
	if missing >/dev/null; then explain; fi
}

main
