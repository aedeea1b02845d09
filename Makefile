# dibs — one command starts it (make run), one proves it (make test).
# Each target is a line or a script in scripts/; there is no logic here.

GO       ?= go
BIN      := bin/dibs
FUZZTIME ?= 10s
DURATION ?= 30m
ROUNDS   ?= 200
SHAPE    ?= all
CALLS    ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help run cluster build test test-short fuzz bench peers profile scale chaos screenshots lint fmt clean

help: ## Show this list
	@echo "Usage: make <target>"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: build ## Build and start the demo: five people, 200 clients, http://127.0.0.1:8080
	$(BIN) serve --demo

cluster: build ## Three nodes and a Postgres on this machine, until Ctrl-C (see the README)
	@scripts/cluster.sh $(BIN)

build: ## Build bin/dibs (needs nothing but Go)
	@scripts/check-go.sh
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/dibs

test: ## Everything that must hold; installs Postgres and Chromium for the tests where it may
	@scripts/test.sh

test-short: ## The quick part, about a minute: no races looked for, no long faults, not the program as a whole
	@scripts/test-short.sh

fuzz: ## Every fuzz target for a while each (FUZZTIME=10s)
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## The engine against what people would write instead, on a private Postgres
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh
	cd bench && $(GO) run . -guard ratios.json $(BENCH_ARGS)
	cd bench && $(GO) run -pgo=../cmd/dibs/default.pgo ./peers -only empty,dibs,dibs-heard,dibs-sqlite,three,conditional -connections 256 -rounds 3 -duration 1s -guard ratios.json $(filter -record,$(BENCH_ARGS))
	cd bench && $(GO) run ./overload -duration 2s -more=false -most 6
	$(GO) test -run "^$$" -bench . -benchtime 3s ./live
	$(GO) test -run "^$$" -bench 'ClusterOfOne|AcrossNodes' -benchtime 1x ./integration
	$(GO) test -run "^$$" -bench FanOut -benchtime 1x ./integration
	$(GO) test -run "^$$" -bench ReadyWithManyCalls -benchtime 3x ./integration

peers: ## dibs against Redis, etcd, NATS and hand-written SQL, over HTTP (PEERS_ARGS="-duration 1s -rounds 1": a quick look)
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh
	@scripts/ensure-peers.sh
	cd bench && $(GO) run -pgo=../cmd/dibs/default.pgo ./peers -docs ../docs $(PEERS_ARGS)

profile: ## What dibs does under load, for the compiler (cmd/dibs/default.pgo)
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh
	@scripts/profile.sh

scale: ## A million clients, 100,000 users, 50,000 calls in progress, then a day of CALLS=1000000; writes docs/benchmarks.md (up to an hour)
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh --no-cc
	$(GO) test -count=1 -timeout 0 -v -run '^TestScale$$' ./integration/scale -scale.full -scale.day $(CALLS) -scale.docs "$(CURDIR)/docs"

chaos: ## Break everything for DURATION=30m, then kill a node ROUNDS=200 times; the report is chaos-report/chaos.md (SEED=… replays a run)
	@scripts/chaos.sh "$(DURATION)" "$(SEED)" "$(ROUNDS)" "$(SHAPE)"

screenshots: ## Pictures of the page, as the browser tests see it, into docs/screenshots
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh
	$(GO) test -count=1 -run 'TestPages|TestScenario3' ./integration/browser -screenshots "$(CURDIR)/docs/screenshots"

lint: ## Linters, pinned in tools/go.mod; the first run compiles them (minutes)
	@scripts/check-go.sh
	@scripts/lint.sh

fmt: ## Format the code
	$(GO) tool -modfile=tools/go.mod golangci-lint fmt ./...

clean: ## Remove what was built; the data folder stays
	rm -rf bin .cache
