# cartwheel: `make test-partition` is the main job, `make test` needs no Docker.
# `make help` lists all targets. Knobs: CLUSTER=docker|sim SEED=7 TIME=30s RESULTS=dir

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CLUSTER ?=
SEED    ?=
TIME    ?=
RESULTS ?= $(CURDIR)/results
export CLUSTER SEED TIME RESULTS

TOOLS := bin/tools
# The suites that have specs of a label, and how they are played: two at a time, since a run mostly waits, but for those that keep
# the engine busy. Runs on one engine do not touch each other.
suites = $(patsubst %/,./%,$(sort $(dir $(shell grep -l 'Label."$(1)"' workloads/*/*_suite_test.go))))
side_by_side := 2
play   = go test $(call suites,$(1)) -p $(side_by_side) -count=1 -timeout 20m -v -ginkgo.fail-on-empty -ginkgo.label-filter=$(1) -ginkgo.v
# The race detector needs a C compiler; without one the tests still run.
RACE  := $(if $(shell command -v gcc 2>/dev/null || command -v clang 2>/dev/null),-race,)
# Version 2 is a plugin of the docker command, version 1 a command of its own.
compose = $(if $(shell docker compose version 2>/dev/null),docker compose,docker-compose) -f docker/compose.yaml
# Debian's packages, where this machine can install them; otherwise say what is missing.
need = command -v $(1) >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing $(2)" && { apt-get install -qq -y --no-install-recommends $(2) >/dev/null 2>&1 || { apt-get update -qq && apt-get install -qq -y --no-install-recommends $(2) >/dev/null; }; } || { echo "$(1) is missing: install the package $(2), for example with 'sudo apt-get install $(2)'" >&2; exit 1; }; }

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20
	@echo
	@echo "knobs: CLUSTER=docker|sim SEED=7 TIME=30s RESULTS=folder, for example: make test-partition SEED=7 TIME=2m"

.PHONY: build
build: go ## build cartwheel, cartwheeld and cartwheelctl into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./store/cmd/... ./harness/cmd/...

.PHONY: go
go:
	@command -v go >/dev/null || { echo "Go is missing: see https://go.dev/doc/install; go.mod names the version" >&2; exit 1; }

# Packages that gain nothing by the race detector, at ten times the work: pure ones, which start no goroutine, and whole runs on
# the simulated cluster, whose parts are tested with it (store/node, harness/cluster/sim, harness/suite, and 'make test-ties').
PLAIN := store/version/... store/ring/... store/quorum store/merkle store/crdt harness/generator/... nemesis/grudge nemesis/schedule harness/paper workloads/...

.PHONY: test
test: go ## all tests that need no Docker
	@test -n "$(RACE)" || echo "no C compiler: testing without the race detector ('apt-get install gcc' brings it)"
	@plain="$$(go list $(addprefix ./,$(PLAIN)))" && rc=0; \
	go test $(RACE) -timeout 15m $$(go list ./... | grep -vxF "$$plain") || rc=$$?; \
	go test -timeout 15m $$plain || rc=$$?; exit $$rc

.PHONY: test-partition
test-partition: go ## cut a five-node cluster apart under load and judge the store
	$(call play,partition)

.PHONY: test-pause
test-pause: go ## freeze nodes under load and judge the store
	$(call play,pause)

.PHONY: test-kill
test-kill: go ## kill nodes under load, start them again and judge the store
	$(call play,kill)

.PHONY: test-packet
test-packet: go ## lose, delay, duplicate and reorder packets under load and judge the store
	$(call play,packet)

.PHONY: test-clock
test-clock: go ## set clocks wrong under load and judge the store
	$(call play,clock)

.PHONY: test-disk
test-disk: go ## make disks slow, full or failing under load and judge the store
	$(call play,disk)

.PHONY: test-membership
test-membership: go ## add, take away and replace nodes under load and judge the store
	$(call play,membership)

.PHONY: test-soak
test-soak: export TIME := $(or $(TIME),3m)
test-soak: go ## for long: a tour of the members from five to seven to four under partitions; many faults at once; all nodes die
	$(call play,soak)

.PHONY: test-chaos
test-chaos: side_by_side := 1
test-chaos: go ## all faults at the same time
	@rc=0; $(call play,chaos) || rc=$$?; go run ./harness/cmd/cartwheel coverage "$(RESULTS)"; exit $$rc

.PHONY: coverage
coverage: go ## which faults met which workloads, in all runs that are stored in RESULTS
	go run ./harness/cmd/cartwheel coverage "$(RESULTS)"

.PHONY: test-docker
test-docker: go ## test the container backend itself: pods, cuts, pauses, clean-up
	CARTWHEEL_DOCKER=1 go test -count=1 -timeout 20m ./harness/cluster/docker

.PHONY: bench-harness
bench-harness: go ## how fast a cluster starts and a fault is applied and verified
	CARTWHEEL_DOCKER=1 go test -count=1 -run '^$$' -bench . -benchtime 3x ./harness/cluster/docker

.PHONY: bench-sim
bench-sim: build ## how many seeds a minute: 300 operations in 20 virtual seconds under NEMESIS, SEEDS of them
	bin/cartwheel sim --seeds $(or $(SEEDS),300) --nemesis $(or $(NEMESIS),partition) --time 20s --rate 15 --workload cart,register --keep-going --allow-unknown

.PHONY: test-replay
test-replay: go ## replay 200 seeds with GOMAXPROCS 1, 2 and 8, look for leaks in 1,000 runs
	CARTWHEEL_REPLAY_SEEDS=$(or $(SEEDS),200) CARTWHEEL_BUBBLES=1000 go test ./harness/suite -count=1 -timeout 30m -v -run 'OnAnyNumberOfProcessors|LeaveNoGoroutines'

.PHONY: test-ties
test-ties: go ## simulate SEEDS runs in which messages meet, under the race detector
	@test -n "$(RACE)" || { echo "the race detector needs a C compiler: install gcc, for example with 'sudo apt-get install gcc'" >&2; exit 1; }
	go build -race -o bin/cartwheel-race ./harness/cmd/cartwheel
	bin/cartwheel-race sim --ties --seeds $(or $(SEEDS),40) --nemesis $(or $(NEMESIS),partition,pause,kill) --time 10s --rate 30 --allow-unknown

.PHONY: bench-store
bench-store: build ## how fast three daemons on loopback are, and what a request costs them; TIME is that of one load
	@CARTWHEEL_BENCH_STORE=$(CURDIR)/bin/cartwheeld CARTWHEEL_BENCH_TIME=$(or $(TIME),5s) \
		go test ./store/bench -count=1 -timeout 30m -v -run 'TestBench$$' | grep -E '^(figure|FAIL|---|    )'

.PHONY: bench-admission
bench-admission: build ## how late puts are while a node gets a backlog of hints, with admission control and without; TIME is that of one load
	@CARTWHEEL_BENCH_ADMISSION=$(CURDIR)/bin/cartwheeld CARTWHEEL_BENCH_TIME=$(or $(TIME),10s) \
		go test ./store/bench -count=1 -timeout 30m -v -run 'TestBenchAdmission$$' | grep -E '^(figure|FAIL|---|    )'

.PHONY: bench-buffer
bench-buffer: build ## how late puts are with the object buffer of the paper and without, at the 99.9th percentile (figure 5); TIME is that of one load
	@CARTWHEEL_BENCH_BUFFER=$(CURDIR)/bin/cartwheeld CARTWHEEL_BENCH_TIME=$(or $(TIME),10s) \
		go test ./store/bench -count=1 -timeout 30m -v -run 'TestBenchBuffer$$' | grep -E '^(figure|FAIL|---|    )'

# The package's own service is neither needed nor left running; one that was there before stays as it is.
.PHONY: bench-peer
bench-peer: build ## how fast the store is beside etcd, both with three daemons on loopback, by turns; TIME is that of one load
	@had=$$(command -v etcd || true); $(call need,etcd,etcd-server); \
	test -n "$$had" || { systemctl disable --now etcd || service etcd stop || true; } >/dev/null 2>&1
	@CARTWHEEL_BENCH_PEER=$(CURDIR)/bin/cartwheeld CARTWHEEL_BENCH_TIME=$(or $(TIME),5s) \
		go test ./store/bench -count=1 -timeout 30m -v -run 'TestBenchPeer$$' | grep -E '^(figure|FAIL|---|    )'

.PHONY: bench-check
bench-check: go ## how fast histories are judged: ten million operations, one hot key, registers beside Porcupine
	@for part in large hot causal zones; do \
		CARTWHEEL_BENCH_CHECK=$$part GOMEMLIMIT=3500MiB go test ./harness/checker -count=1 -timeout 30m -v -run 'TestBench$$' | grep -E '^(figure|FAIL|---|    )' || exit 1; done

.PHONY: fuzz-check
fuzz-check: go ## compare fast checkers with slow ones and Porcupine on SEEDS random histories, a million by default
	CARTWHEEL_FUZZ_CHECK=$(or $(SEEDS),1000000) go test ./harness/checker -count=1 -timeout 2h -v -run 'JudgesOf[A-Za-z]+Agree'

.PHONY: fuzz
fuzz: go ## feed damaged bytes to all that is read from wires, disks and histories, TIME for each decoder
	@grep -rlE --include='*_test.go' '^func Fuzz' . | xargs grep -HoE '^func Fuzz[A-Za-z]+' | sort | while IFS=: read -r file name; do \
		go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$${name#func }$$" -fuzztime $(or $(TIME),10s) || exit 1; done

.PHONY: mutants
mutants: build ## plant the bugs of the first gate; the harness must find each and raise no false alarm
	bin/cartwheel mutants --gate --cluster sim --results $(RESULTS) $(if $(SEED),--seed $(SEED))
	@if [ "$(CLUSTER)" = sim ]; then exit 0; fi; \
	if [ "$(CLUSTER)" != docker ] && ! bin/cartwheel doctor >/dev/null 2>&1; then \
		echo "no Docker Engine answers: the bugs that are hunted in containers too were hunted in simulation only"; exit 0; fi; \
	bin/cartwheel mutants --cluster docker --results $(RESULTS) $(if $(SEED),--seed $(SEED))

.PHONY: mutants-all
mutants-all: build ## plant every bug of the catalogue, run the control a thousand times, write docs/DETECTION.md
	bin/cartwheel mutants --cluster sim --control $(or $(SEEDS),1000) --results $(RESULTS) --document docs/DETECTION.md

.PHONY: anomalies
anomalies: build ## repeat published anomalies of Dynamo-like stores and print their figures
	bin/cartwheel anomaly --results $(RESULTS) $(if $(SEED),--seed $(SEED))

.PHONY: paper
paper: build ## repeat experiments of the Dynamo paper on paper and in simulation, beside the published figures
	bin/cartwheel paper --results $(RESULTS) $(if $(SEED),--seed $(SEED))

.PHONY: lint
lint: go generated ## vet, staticcheck, gofumpt, errcheck, layer table, generated code current
	go vet ./...
	go tool staticcheck ./...
	@out=$$(go tool gofumpt -l $$(git ls-files '*.go' ':!*.pb.go')); test -z "$$out" || { echo "gofumpt -w these:" >&2; echo "$$out" >&2; exit 1; }
	go tool errcheck -exclude .errcheck -ignoretests ./...
	go test -count=1 .

.PHONY: proto
proto: go ## regenerate store/storepb from its .proto files
	@$(call need,protoc,protobuf-compiler)
	GOBIN=$(CURDIR)/$(TOOLS) go install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	PATH=$(CURDIR)/$(TOOLS):$$PATH protoc --go_out=. --go_opt=module=cartwheel --go-grpc_out=. --go-grpc_opt=module=cartwheel store/storepb/*.proto
	go tool gofumpt -w store/storepb/*.pb.go
	@# the compiler's own version is no part of the contract
	@sed -i -E 's,^(//[[:space:]-]*protoc[[:space:]]+)v[0-9.]+$$$$,\1(any),' store/storepb/*.pb.go

.PHONY: generated
generated:
	@before=$$(cat store/storepb/*.pb.go | sha256sum); $(MAKE) -s proto; after=$$(cat store/storepb/*.pb.go | sha256sum); \
	test "$$before" = "$$after" || { echo "generated code was out of date: commit what 'make proto' made" >&2; exit 1; }

.PHONY: golden
golden: go ## rewrite the expected output of script tests; read the diff
	go test ./store/... ./harness/... -run 'Script|Golden' -rewrite

.PHONY: up
up: build ## start a cluster of five nodes by hand, see docker/README.md
	bin/cartwheel images
	$(compose) up -d

.PHONY: down
down: ## remove that cluster and its data
	$(compose) down -v

.PHONY: clean
clean: ## remove what was built and what killed runs left in Docker
	@if command -v go >/dev/null; then go run ./harness/cmd/cartwheel clean 2>&1 | head -n 1 || true; fi
	rm -rf bin
