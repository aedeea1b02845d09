#!/usr/bin/env bash
# Everything that must hold, in the order in which it fails fastest. The last
# lines of the output are the summary of all tests (gotestsum's DONE line).
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
# Two packages at a time: a package here may start Postgres and the real
# binary, and on two cores more of them only make each other late.
parallel=${TEST_PARALLEL:-2}

scripts/check-go.sh
scripts/ensure-test-tools.sh

echo "==> gofmt"
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'Not formatted (make fmt):\n%s\n' "$unformatted" >&2
	exit 1
fi

echo "==> go vet"
"$go" vet ./...
(cd bench && "$go" vet ./...) # a module of its own

echo "==> what operators are given (deploy, docs/observability)"
(cd deploy/check && "$go" test -count=1 ./...) # a module of its own

echo "==> go test -race"
# The race detector needs cgo; the binary itself is built without. -count=1:
# nothing is taken from the cache, because the faults differ from run to run.
CGO_ENABLED=1 exec "$go" tool -modfile=tools/go.mod gotestsum \
	--format pkgname --format-hide-empty-pkg -- \
	-race -count=1 -p "$parallel" -timeout 45m ./...
