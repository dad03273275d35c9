#!/usr/bin/env bash
# Fuzzes a parser of foreign bytes with libFuzzer: scripts/fuzz.sh [target] [seconds]. Targets are the files of tests/fuzz.
# New inputs go to build/fuzz, a failing one too; the seeds in tests/fuzz/corpus stay as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${1:-boot_info}
seconds=${2:-60}
[[ -f tests/fuzz/$target.rs ]] || { echo "fuzz: no target $target" >&2; exit 2; }
scripts/setup.sh test
root=$PWD
built=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
unset CARGO_ENCODED_RUSTFLAGS
mkdir -p "build/fuzz/$target"
# Coverage feedback needs no nightly compiler, only LLVM's own pass. A target triple keeps it off build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks --cfg fuzzing"
echo "fuzz: building $target"
CARGO_TARGET_DIR=$built cargo build --quiet --locked --release --target "$host" \
    --manifest-path tests/fuzz/Cargo.toml --bin "$target"
binary=$built/$host/release/$target
echo "fuzz: running $target for $seconds s"
cd "build/fuzz"
"$binary" -max_total_time="$seconds" -timeout=10 -max_len=8192 -print_final_stats=1 -artifact_prefix="$target-" \
    "$target" "$root/tests/fuzz/corpus/$target" 2>"$target.log" || {
    tail -n 40 "$target.log" >&2
    echo "fuzz: $target failed; the input is in build/fuzz" >&2
    exit 1
}
sed -n 's/^stat::number_of_executed_units: */fuzz: inputs tried: /p' "$target.log"
