#!/usr/bin/env bash
# Runs the linters. golangci-lint is pinned in tools/go.mod, a module of its
# own so that its many dependencies are not ours; Go compiles it once and
# keeps it in the build cache.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
"$go" tool -modfile=tools/go.mod golangci-lint run ./...

if command -v shellcheck >/dev/null 2>&1; then
	shellcheck .ci/run scripts/*.sh
else
	echo "shellcheck is not installed: the scripts were not looked at." >&2
fi
