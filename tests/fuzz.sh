#!/bin/sh
# Builds every fuzz target and runs each for FUZZ_SECONDS (60), or those that are named. An input that breaks something
# goes into fuzz/regressions, where `cargo test` finds it; the rest of what was learnt stays in target/fuzz/corpus.
#
# libFuzzer and AddressSanitizer are parts of the stable compiler that it keeps behind a switch: hence RUSTC_BOOTSTRAP.
set -eu
cd "$(dirname "$0")/.."

if ! command -v cargo-fuzz > /dev/null; then
    echo "fuzz: cargo-fuzz is missing; install it: cargo install cargo-fuzz --locked" >&2
    exit 1
fi

# The versions that are shipped are the versions that are fuzzed.
cp Cargo.lock fuzz/Cargo.lock
target=$PWD/target/fuzz
RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target cargo fuzz build --fuzz-dir fuzz
programs=$target/$(rustc -vV | sed -n 's/^host: //p')/release

failed=
for name in ${*:-$(sed -n 's/^name = "\([a-z0-9_]*\)"$/\1/p' fuzz/Cargo.toml)}; do
    mkdir -p "$target/corpus/$name" "fuzz/regressions/$name"
    log=$target/$name.log
    if "$programs/$name" -dict="fuzz/dictionaries/${name%%_*}.dict" -max_total_time="${FUZZ_SECONDS:-60}" -max_len=4096 \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="fuzz/regressions/$name/" \
        "$target/corpus/$name" "fuzz/corpus/$name" > "$log" 2>&1; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        failed="$failed $name"
        echo "fuzz: $name broke; $log has how, and the input:" >&2
        sed -n '/panicked at/,+1p; s/^artifact_prefix.*Test unit written to //p' "$log" >&2
    fi
    rmdir "fuzz/regressions/$name" 2> /dev/null || true
done
rmdir fuzz/regressions 2> /dev/null || true
[ -z "$failed" ] || { echo "fuzz: broken:$failed" >&2; exit 1; }
