#!/usr/bin/env bash
# Breaks everything for a long time, and says what came of it:
# chaos.sh DURATION SEED ROUNDS SHAPE. An empty seed: any. The report is
# chaos-report/chaos.md (and chaos.json, and chaos.txt, which is shown), with a
# picture of each history that cannot be explained.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
report=$PWD/chaos-report
scripts/check-go.sh
scripts/ensure-test-tools.sh --no-cc
rm -rf "$report"
mkdir -p "$report"

version=$(git describe --always --dirty 2>/dev/null || true)
# The package's own time limit must not end a run: 0 is none.
rc=0
"$go" test -count=1 -timeout 0 -v -run '^TestChaos$' ./integration/chaos \
	-chaos.shape "$4" -chaos.duration "$1" -chaos.seed "${2:-0}" -chaos.version "$version" \
	-chaos.clocks -chaos.report "$report" >"$report/chaos.log" 2>&1 || rc=$?
if [ "$rc" -ne 0 ]; then tail -n 50 "$report/chaos.log" | cut -c 1-400; fi
cat "$report/chaos.txt" 2>/dev/null || true
echo "report: chaos-report/chaos.md"
if [ "$3" -gt 0 ]; then
	echo
	"$go" test -count=1 -timeout 0 -v -run '^TestKillsLeakNothing$' ./integration/chaos \
		-chaos.shape "$4" -chaos.rounds "$3" 2>&1 | tee "$report/kills.log" || rc=$?
fi
exit "$rc"
