# `make test` is everything that must pass. On Debian 12, as root, it installs what the tests need, and enables and starts none
# of it.

CARGO ?= cargo
# Where cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
POINTSMAN := $(TARGET)/debug/pointsman
RELEASE := $(TARGET)/release/pointsman

.PHONY: test packages fmt lint unit docs policy picture book lab moves clients differential bench bench-mapping soak fuzz demo help
.PHONY: test-quick package-test deb dist

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## everything (fast ones first), and how long each part takes
	@MAKE="$(MAKE)" tests/parts.sh packages fmt policy lint unit docs book lab

test-quick: ## what needs no server, and how long each part takes
	@MAKE="$(MAKE)" tests/parts.sh fmt policy lint unit

packages: ## the Debian packages that the tests with real servers need
	@tests/lab/install.sh

fmt: ## formatting
	$(CARGO) fmt --all --check

policy: ## who imports whom, cycles, sizes, look-ups, licences
	@python3 -B -m unittest discover --quiet -s tests/policy/tests -t tests
	@python3 tests/policy.py

picture: ## docs/crates.svg, drawn from the manifests
	@python3 tests/draw_crates.py

lint: ## clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

unit: ## unit tests and black-box tests in Rust
	$(CARGO) test --workspace --locked --quiet

docs: ## documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

book: ## the book: contents, links, configurations, generated pages; with mdBook, also the site in target/book
	$(CARGO) build --locked --quiet
	@python3 -B -m unittest discover --quiet -s tests/book/tests -t tests
	@python3 tests/book.py --pointsman $(POINTSMAN)
	@if command -v mdbook >/dev/null; then mdbook build; else echo "book: no mdbook in PATH: the site is not built (docs/testing.md)"; fi

lab: ## tests against real Dovecot and Postfix
	$(CARGO) build --locked --quiet
	python3 tests/lab/run.py --pointsman $(POINTSMAN)

clients: ## the conformance matrix: programs and servers, direct and through the proxy
	$(CARGO) build --locked --quiet
	python3 tests/lab/run.py --pointsman $(POINTSMAN) -k conformance

package-test: ## the Debian package: installed, upgraded and removed in a chroot; needs root, mmdebstrap and lintian
	$(CARGO) build --locked --quiet
	python3 tests/lab/run.py --pointsman $(POINTSMAN) -k test_package

deb: ## the Debian package of a dist build, in $(TARGET)/dist-files
	packaging/dist.sh deb

dist: ## what is shipped: package, static binary, files of the container image, SBOMs
	packaging/dist.sh

moves: ## the large run of moves: 20 accounts, 100 clients, 20 rounds, 100,000 writes; 100 crashes
	$(CARGO) build --locked --quiet
	POINTSMAN_LAB_ROUNDS=20 POINTSMAN_LAB_MOVED=20 POINTSMAN_LAB_CLIENTS=5 POINTSMAN_LAB_WRITES=100000 \
		python3 tests/lab/run.py --pointsman $(POINTSMAN) -k moves_load
	POINTSMAN_LAB_CRASHES=100 python3 tests/lab/run.py --pointsman $(POINTSMAN) -k crash_at_every

differential: ## 2,000 generated login conversations with real servers, direct and through the proxy
	$(CARGO) build --locked --quiet
	POINTSMAN_CONVERSATIONS=2000 python3 tests/lab/run.py --pointsman $(POINTSMAN) -k Differential

bench: ## latency, throughput and memory, in one run
	$(CARGO) build --release --locked --quiet
	python3 tests/lab/bench.py --pointsman $(RELEASE)
	python3 tests/lab/bench_http.py --pointsman $(RELEASE)

bench-mapping: ## a mapping file of a million accounts: load, memory, lookups, changes
	$(CARGO) bench --locked --quiet -p mapping --bench mapping

soak: ## what takes minutes: 2 GiB up and down over HTTP
	$(CARGO) build --release --locked --quiet
	POINTSMAN_LAB_MIB=2048 python3 tests/lab/run.py --pointsman $(RELEASE) -k http_streams.Large

fuzz: ## every fuzz target for FUZZ_SECONDS (60); needs cargo-fuzz
	tests/fuzz.sh

demo: ## the demo
	$(CARGO) run --release --locked -- demo
