#!/usr/bin/env bash
# Runs every fuzz target of the project for a while each: fuzz.sh [time].
# "go test -fuzz" takes one target of one package at a time, so they are
# discovered with "go test -list" and run in turn.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
fuzztime=${1:-10s}
scripts/check-go.sh

# "go test -list" prints the names that match and then "ok <package> …".
targets=$("$go" test -list '^Fuzz' ./... | awk '
	/^Fuzz/     { names[++n] = $1 }
	$1 == "ok"  { for (i = 1; i <= n; i++) print $2, names[i] }
	!/^Fuzz/    { n = 0 }')
if [ -z "$targets" ]; then
	echo "No fuzz targets found." >&2
	exit 1
fi

count=0
while read -r pkg name; do
	echo "==> $name in $pkg, $fuzztime"
	"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$pkg"
	count=$((count + 1))
done <<<"$targets"
echo "$count fuzz targets, nothing found."
