# shellcheck shell=bash disable=SC2154
# Installing packages of the distribution (Debian or a relative of it), for the
# scripts beside this file, which source it.
#
# What installs needs two variables: root, the command that runs others as root
# (see as_root), and log, a file for what apt-get says.

# as_root prints the command that runs others as root, or fails. For root
# itself that is env, which changes nothing.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		echo env
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		echo sudo
	else
		return 1
	fi
}

# install_packages installs the named packages. A machine that is new has no
# package lists, or old ones: they are fetched once if the first try fails.
install_packages() {
	local install=("$root" DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@")
	"${install[@]}" >"$log" 2>&1 && return
	"$root" DEBIAN_FRONTEND=noninteractive apt-get update -q >>"$log" 2>&1 || true
	"${install[@]}" >>"$log" 2>&1 && return
	cat "$log" >&2
	return 1
}

# install_unstarted is install_packages for packages that would start a service
# on the usual port: it keeps them from it, unless the machine has a rule of its
# own for that.
install_unstarted() {
	local policy=/usr/sbin/policy-rc.d rc=0
	if [ -e "$policy" ]; then
		install_packages "$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' | "$root" tee "$policy" >/dev/null
	"$root" chmod +x "$policy"
	install_packages "$@" || rc=$?
	"$root" rm -f "$policy"
	return "$rc"
}
