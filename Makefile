# Every target that ends in "##" introduces itself in `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 5s
TOOL := $(GO) tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: servers ## install what is missing: redis-server, PostgreSQL, nginx with Lua to measure against (Debian packages), Go modules
	@tools/deps redis-tools prometheus nginx libnginx-mod-http-lua lua-nginx-redis lua-cjson

.PHONY: servers
servers: # what a gateway itself stands on
	@tools/deps redis-server postgresql
	@$(GO) mod download

.PHONY: build
build: ## build .bin/admitone
	@[ -e .bin/admitone ] || echo "building .bin/admitone; the first time takes a few minutes" >&2
	@$(GO) build -ldflags '-X main.version=$(VERSION)' -o .bin/admitone ./cmd/admitone

.PHONY: run
run: servers build ## set up what is missing and serve a demo launch
	@exec .bin/admitone dev

.PHONY: check
check: ## fast: vet, staticcheck, gofumpt, Lua lint, unit tests; before every commit
	@$(GO) vet ./...
	@$(TOOL) staticcheck ./...
	@unformatted=$$($(TOOL) gofumpt -l .); if [ -n "$$unformatted" ]; then echo "run make fmt:"; echo "$$unformatted"; exit 1; fi
	@$(GO) test -short ./...

.PHONY: fmt
fmt: ## format all Go code
	@$(TOOL) gofumpt -w .

.PHONY: test
test: deps ## everything, on real servers, with the race detector; then each fuzz target for FUZZTIME
	@tools/deps gcc libc6-dev
	@$(GO) vet ./...
	@$(GO) test -race -timeout 15m ./...
	@$(MAKE) --no-print-directory fuzz
	@echo "all tests passed"

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (5s)
	@set -euo pipefail; grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
		done; \
	done

.PHONY: cover
cover: deps ## test coverage, by package
	@$(GO) test -cover ./...

.PHONY: story-launch
story-launch: deps ## play a waitlist of 10,000 with daily releases; every place and e-mail is compared
	@$(GO) run ./bench/story launch

.PHONY: story-biassecret
story-biassecret: deps ## play an app that grows by invitations: trial, licences, refills, guesses, races
	@$(GO) run ./bench/story biassecret

.PHONY: story-referral-credit
story-referral-credit: deps ## play a referral programme: Stripe's events forged, repeated, refunded, disputed
	@$(GO) run ./bench/story referral-credit

.PHONY: story-controlled-launch
story-controlled-launch: deps ## play a controlled launch's codes, milestones and cheats
	@$(GO) run ./bench/story controlled-launch

.PHONY: story-invitation
story-invitation: deps ## play invitations with attribution: bound, by link, expiring, fifty a day
	@$(GO) run ./bench/story invitation

.PHONY: stories
stories: deps ## play all five policies
	@for story in biassecret launch controlled-launch referral-credit lapse invitation; do echo "== $$story"; $(GO) run ./bench/story $$story || exit 1; done

.PHONY: story-lapse
story-lapse: deps ## play a 60-day campaign of 25,000 codes; clients, Redis and Postgres must agree
	@$(GO) run ./bench/story lapse

SEED ?= 1
ROUNDS ?= 24
.PHONY: torture
torture: deps ## break everything under load: SEED=1 ROUNDS=24 ONLY=redis-kill,power-cut
	@tools/deps gcc libc6-dev
	@$(GO) run ./bench/torture -seed $(SEED) -rounds $(ROUNDS) -only '$(ONLY)'

.PHONY: torture-mutants
torture-mutants: deps ## switch each protection off in turn and see what notices: SEED=1 ONLY=witness,trim
	@tools/deps gcc libc6-dev
	@$(GO) run ./bench/torture -mutants -seed $(SEED) -only '$(ONLY)'

MINUTES ?= 20
.PHONY: soak
soak: deps ## small faults for MINUTES=20; memory, open files and goroutines must stay flat
	@tools/deps gcc libc6-dev
	@$(GO) run ./bench/torture -seed $(SEED) -soak $(MINUTES)m

.PHONY: bench
bench: deps ## every figure of docs/performance.md, against peers in the same run: half an hour on a quiet machine
	@$(GO) run ./bench/results -docs

.PHONY: bench-quick
bench-quick: deps ## the ratios against peers, within three minutes; writes bench/results/latest.json
	@$(GO) run ./bench/results -quick

.PHONY: bench-watch
bench-watch: servers ## a waitlist of a million: polls against a bare server, 50,000 pollers, 10,000 streams and a restart
	@$(GO) run ./bench/results -watch

.PHONY: bench-profile
bench-profile: servers ## where a redemption's time goes: .bin/profile/gateway.pprof, Redis' commands and samples
	@$(GO) run ./bench/results -profile .bin/profile

.PHONY: bench-parts
bench-parts: servers ## the stages one by one: group commit, memory, a reload, the ledger
	@$(GO) test ./lua -run '^$$' -bench Redeem -benchtime 100000x
	@$(GO) test ./lua -run '^$$' -bench Memory -benchtime 1x -timeout 20m
	@$(GO) test ./gateway -run '^$$' -bench Line -benchtime 1x
	@$(GO) test ./sync/heal -run '^$$' -bench Reload -benchtime 1x
	@$(GO) test ./sync/ledger -run '^$$' -bench Apply -benchtime 30x

.PHONY: disposable
disposable: ## refresh the list of disposable e-mail domains (needs npm)
	@tools/disposable

.PHONY: clean
clean: ## remove .bin and .admitone
	@if [ -e .admitone/lock ] && ! flock -n .admitone/lock true; then echo "stop admitone dev first (Ctrl-C)"; exit 1; fi
	@rm -rf .bin .admitone
