# dibs — one command starts it (make run), one proves it (make test).
# Each target is a line or a script in scripts/; there is no logic here.

GO       ?= go
BIN      := bin/dibs
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help run build test test-short fuzz bench screenshots lint fmt clean

help: ## Show this list
	@echo "Usage: make <target>"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: build ## Build and start the demo: five people, 200 clients, http://127.0.0.1:8080
	$(BIN) serve --demo

build: ## Build bin/dibs (needs nothing but Go)
	@scripts/check-go.sh
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/dibs

test: ## Everything that must hold; installs Postgres and Chromium for the tests where it may
	@scripts/test.sh

test-short: ## The quick part, a minute or two: no races looked for, no long faults, not the program as a whole
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh --no-cc
	$(GO) test -short $$($(GO) list ./... | grep -v /integration)

fuzz: ## Every fuzz target for a while each (FUZZTIME=10s)
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## The engine against what people would write instead, on a private Postgres
	@scripts/check-go.sh
	@scripts/ensure-test-tools.sh
	cd bench && $(GO) run . $(BENCH_ARGS)
	$(GO) test -run "^$$" -bench . -benchtime 3s ./live
	$(GO) test -run "^$$" -bench ReadyWithManyCalls -benchtime 3x ./integration

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
