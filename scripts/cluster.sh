#!/usr/bin/env bash
# Three nodes of dibs on this machine: cluster.sh <the dibs program>. The work is
# done by integration/threenodes; this makes sure that Postgres is there, and that
# Ctrl-C reaches that program alone ("go run" would end before it has cleaned up).
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
scripts/check-go.sh
if [ -z "${DIBS_DATABASE_URL:-}" ]; then scripts/ensure-test-tools.sh --postgres; fi
"$go" build -o bin/threenodes ./integration/threenodes
exec bin/threenodes "$1"
