#!/usr/bin/env bash
# Fails with a sentence when Go is missing or too old for go.mod. Go itself
# would say it too, but in words that do not help somebody new to it.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
want=$(awk '$1 == "go" { print $2; exit }' go.mod)

if ! command -v "$go" >/dev/null 2>&1; then
	cat >&2 <<EOF
dibs is built with Go $want or later, and there is no Go on the PATH.
Get it from https://go.dev/dl/ (or your system's packages, if they are recent),
then run this again.
EOF
	exit 1
fi

# Go 1.21 and later fetch the version that go.mod asks for by themselves,
# unless GOTOOLCHAIN forbids it; "go version" in here shows whether that works.
if ! out=$("$go" version 2>&1); then
	have=$(cd / && "$go" version 2>/dev/null || echo "an unknown version")
	cat >&2 <<EOF
dibs is built with Go $want or later. Found: $have.
Get a newer one from https://go.dev/dl/, or let Go fetch it by itself:
  GOTOOLCHAIN=auto make …
Go says: $out
EOF
	exit 1
fi
