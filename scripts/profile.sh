#!/usr/bin/env bash
# Records cmd/dibs/default.pgo, by which the compiler knows what is worth inlining:
# CPU profiles of dibs on both stores, while it is called, refuses, and is asked.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
profiles=$(mktemp -d)
trap 'rm -rf "$profiles"' EXIT

(cd bench && "$go" run ./peers -only dibs,dibs-sqlite -loads calls,refusals,looks,lists \
	-connections 64,256 -duration 5s -rounds 1 -profile "$profiles")
"$go" tool pprof -proto "$profiles"/*.cpu >cmd/dibs/default.pgo
