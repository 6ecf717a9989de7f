# Segue. `make demo` and `make test` do their own set-up; `make help` lists the rest.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO           ?= go
TEST_TIMEOUT ?= 30m
FUZZ_TIME    ?= 10s
ORACLE_N     ?= 20000
# At how many of a world's 17 or 18 stands (phases, steps, what a proxy knows) each statement is run; 0: at all.
ORACLE_STANDS ?= 0
CHAOS_TIME   ?= 5m
CHAOS_SEED   ?= $(shell date +%s)
PG           ?=
SERVERS      ?= 13 14 16 17 18
ORACLE_SEED  ?= $(shell date +%s)
BENCH        ?= .
COUNT        ?= 1

# The linters are pinned in tools.mod, a module file of its own, so that go.mod lists only what Segue itself needs. golangci-lint takes
# minutes to build: the binaries are kept in bin/, in a folder named by what they were built from, and built anew only when that changes.
# golangci-lint runs gofumpt, vet and staticcheck too; they are there alone as well, for editors and for one file.
TOOLS = bin/tools/$(shell { cat tools.mod; $(GO) env GOVERSION; } | sha256sum | cut -c1-12)

# The SQL parser is C and takes minutes to compile, once with the race detector and once without. The linters read the compiler's
# output, so they ask for the build that the tests make anyway.
LINT_FLAGS = GOFLAGS="$$($(GO) env GOFLAGS) -race"

# PG=18 has tests run on that major version of PostgreSQL, whose binaries are fetched; without it they run on what is installed.
ON_PG = $(if $(PG),export SEGUE_PG_BIN; SEGUE_PG_BIN=$$(.ci/fetch-postgres $(PG));)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup build ## carry two live applications through a column rename, on a throwaway server
	@bin/segue demo $(DEMO_FLAGS)

.PHONY: test
test: setup ## all tests, with the race detector, on throwaway servers (PG=13 to 18: on that version)
	$(ON_PG) $(GO) test -race -timeout $(TEST_TIMEOUT) ./...

.PHONY: test-servers
test-servers: setup ## the tests that depend most on the server's version, on others than the installed one (SERVERS="13 14 16 17 18")
	@for pg in $(SERVERS); do \
	  echo "PostgreSQL $$pg"; bin=$$(.ci/fetch-postgres $$pg); \
	  SEGUE_PG_BIN=$$bin $(GO) test -race -count=1 -timeout $(TEST_TIMEOUT) -run '^(TestLive|TestPatterns|TestStartRefuses|TestGroupsRefused|TestPsql|TestCancel|TestAuthentication|TestTransparency)$$' \
	    ./internal/oracle ./migrate ./proxy ./session; \
	done

.PHONY: build
build: toolchain ## build bin/segue
	$(GO) build -o bin/segue ./cmd/segue

.PHONY: lint
lint: toolchain $(TOOLS) ## go.mod, formatting (gofumpt), vet, staticcheck and the other linters of .golangci.yml
	$(GO) mod tidy -diff
	$(LINT_FLAGS) $(TOOLS)/golangci-lint run

.PHONY: fmt
fmt: toolchain $(TOOLS) ## format all Go files
	$(TOOLS)/gofumpt -w $$(git ls-files '*.go')

.PHONY: check
check: lint test ## what CI runs

.PHONY: fuzz
fuzz: toolchain ## every fuzz test for a short while (FUZZ_TIME=10s)
	@$(GO) list ./... | while read -r pkg; do \
	  for f in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ_TIME) "$$pkg"; \
	  done; \
	done

.PHONY: oracle
oracle: setup ## compare generated statements in generated schemas with PostgreSQL itself (ORACLE_N=20000 ORACLE_SEED=...)
	SEGUE_ORACLE_N=$(ORACLE_N) $(GO) test -race -v -count=1 -timeout 6h -run Worlds ./internal/oracle -seed $(ORACLE_SEED) -stands $(ORACLE_STANDS)

.PHONY: chaos
chaos: setup ## eight proxies, killed, stopped and cut off while phases change (CHAOS_TIME=5m CHAOS_SEED=...)
	SEGUE_CHAOS_TIME=$(CHAOS_TIME) $(GO) test -race -v -count=1 -timeout 6h -run 'Chaos|Failover' ./internal/chaos -seed $(CHAOS_SEED)

.PHONY: parity
parity: setup build ## public suites (PostgreSQL's own, pgbench, pgx), directly and through the proxy, compared (SUITES="regress isolation" PHASES="dual-write")
	PHASES="$(PHASES)" parity/run $(SUITES)

.PHONY: bench
bench: setup build ## what the proxy costs, beside PgBouncer and others: writes bench/RESULTS.md (QUICK=1, ROW=copy,latency, PROFILE=1)
	@.ci/setup-pgbouncer
	@$(GO) run ./bench -segue bin/segue -dir bench $(if $(QUICK),-quick) $(if $(ROW),-row $(ROW)) $(if $(PROFILE),-profile) $(BENCH_FLAGS)

.PHONY: microbench
microbench: toolchain ## in-process benchmarks: frames, lexer, plans, COPY's data (BENCH=Plan COUNT=10, for benchstat)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./session ./rewrite ./rewrite/copydata

.PHONY: clean
clean: ## remove bin/
	rm -rf bin

# What the targets above stand on.

$(TOOLS):
	@echo "building the linters into $@ (once; some minutes)"
	@rm -rf bin/tools; mkdir -p $@.part
	$(GO) build -modfile=tools.mod -o $@.part/ tool
	@mv $@.part $@

.PHONY: setup
setup: toolchain
	@.ci/setup-postgres

.PHONY: toolchain
toolchain:
	@command -v $(GO) >/dev/null || { echo "segue: looked for the Go toolchain ($(GO)) and found none: install Go 1.26 or newer" >&2; exit 1; }
	@command -v "$$($(GO) env CC)" >/dev/null || { echo "segue: the SQL parser is C, and there is no C compiler ($$($(GO) env CC)): install gcc (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }
