#!/usr/bin/env bash
# The quick part of the tests, for daily work. What makes it quick beside -short:
# the tests' files are in memory where there is room for them, because the stores
# wait for the disk at every commit, and more packages run at once than there are
# cores, because many wait for a clock and without -race none needs a core for long.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
scripts/check-go.sh
scripts/ensure-test-tools.sh --no-cc

# In a container /dev/shm is often 64 MB, and nothing in it may be executed, which
# tests do with what they build.
memory=/dev/shm
if [ "$(df -Pk "$memory" 2>/dev/null | awk 'END { print $4 + 0 }')" -ge $((2 << 20)) ] && folder=$(mktemp -d "$memory/dibs-test-XXXXXX"); then
	trap 'rm -rf "$folder"' EXIT
	chmod 755 "$folder" # Postgres runs as somebody else when this is root
	printf '#!/bin/sh\n' >"$folder/try"
	chmod +x "$folder/try"
	if "$folder/try" 2>/dev/null; then export TMPDIR=$folder; fi
fi

packages=$("$go" list ./... | grep -v /integration)
# shellcheck disable=SC2086 # one word a package
"$go" test -short -p 4 -parallel 4 $packages
