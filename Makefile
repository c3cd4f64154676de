# Two commands for everybody: make run, make test. Each installs what it needs first, or names what is missing.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test lint unit doc tree fuzz-smoke real bench versus release build-needs

PARTS ?= $(or $(KAFSCALE_PARTS),$(HOME)/.cache/kafscale-parts)
PHASE := tests/phase
INSTALL := tests/real/parts/install

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: release ## Build the broker and start it on 127.0.0.1:9092; its bucket is the folder ./data, every write synced
	@mkdir -p data
	@echo "kafscale: Kafka on 127.0.0.1:9092, metrics and health on 127.0.0.1:9093, bucket in $(CURDIR)/data; Ctrl-C stops it"
	@exec env KAFSCALE_BROKER_ADDR=127.0.0.1:9092 KAFSCALE_METRICS_ADDR=127.0.0.1:9093 KAFSCALE_LOG_LEVEL=$${KAFSCALE_LOG_LEVEL:-info} \
		target/release/kafscale broker --store "file://$(CURDIR)/data"

test: lint unit doc tree fuzz-smoke real ## Run everything that must pass, the real parts included

lint: build-needs ## Formatting and clippy, warnings are errors
	@$(PHASE) format cargo fmt --all --check
	@$(PHASE) clippy cargo clippy --workspace --all-targets --locked -- -D warnings

unit: build-needs ## Unit, integration and documentation tests
	@$(PHASE) tests cargo test --workspace --lib --bins --tests --examples --locked
	@$(PHASE) doc-tests cargo test --workspace --doc --locked

doc: build-needs ## The API documentation, warnings are errors
	@$(PHASE) rustdoc env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

tree: build-needs ## Dependencies, licences, layout of the repository
	@$(INSTALL) python3
	@$(PHASE) tree python3 tests/tree/check.py

fuzz-smoke: build-needs ## Each fuzz target for a few seconds (FUZZ_SECONDS=5)
	@$(INSTALL) cargo-fuzz
	@$(PHASE) fuzz-smoke tests/fuzz-smoke $(or $(FUZZ_SECONDS),5)

real: release ## The packaged broker with real clients and a real S3 server (NAMES='kill hostile' chooses)
	@$(PHASE) real tests/real/run $(NAMES)

bench: build-needs ## The engine's benchmarks
	cargo bench --workspace --locked

versus: release ## Side by side with Apache Kafka 4.4; writes target/versus.md
	@$(INSTALL) kafka python
	$(PARTS)/python/bin/python tests/real/drivers/versus_kafka.py --out target/versus.md

release: build-needs
	@$(PHASE) release-build cargo build --release --locked --package kafscale-server --bin kafscale

build-needs:
	@$(INSTALL) build
