#!/usr/bin/env bash
# Everything that must hold: formatting, lints, both images, host tests, a short fuzz, and whole machines in QEMU and Bochs.
#   scripts/test.sh --all    boots every row of docs/matrix.md, and not only those in bold
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
    "") ;;
    --all) export ERES_ALL=1 ;;
    *) echo "usage: scripts/test.sh [--all]" >&2; exit 2 ;;
esac

scripts/setup.sh test
echo "test: formatting"
cargo fmt --check
cargo fmt --check --all --manifest-path user/Cargo.toml
echo "test: shell scripts"
shellcheck scripts/*.sh tests/programs/all.sh tests/programs/load.sh .ci/run
echo "test: lints"
cargo clippy --quiet --locked --all-targets -- -D warnings
cargo kernel-clippy --quiet --locked -- -D warnings
cargo kernel-clippy --quiet --locked --features selftest -- -D warnings
cargo clippy --quiet --locked --all-targets --manifest-path user/Cargo.toml --target x86_64-unknown-linux-musl \
    --target-dir "${CARGO_TARGET_DIR:-target}/user" -- -D warnings
echo "test: images"
scripts/iso.sh
scripts/raw.sh
scripts/kernel.sh selftest debug
scripts/monitor.sh
scripts/programs.sh
echo "test: reproducibility, and beside it a short fuzz"
# The one waits for a linker most of the time, and the other has one thread. None is left behind when the other fails.
log=$(mktemp)
trap 'wait; rm -f "$log"' EXIT
scripts/reproduce.sh >"$log" 2>&1 &
reproduce=$!
scripts/fuzz.sh boot_info 10
scripts/fuzz.sh pvh 5
scripts/fuzz.sh last_log 5
scripts/fuzz.sh log_code 10
scripts/fuzz.sh acpi 10
scripts/fuzz.sh smbios 5
scripts/fuzz.sh seal 3
scripts/fuzz.sh pci 10
scripts/fuzz.sh exec 10
scripts/fuzz.sh signal_frame 5
scripts/fuzz.sh cpio 10
scripts/fuzz.sh clone 5
scripts/fuzz.sh terminal 10
scripts/fuzz.sh keys 10
scripts/fuzz.sh discipline 10
scripts/fuzz.sh line_editor 10
scripts/fuzz.sh socket_message 5
wait "$reproduce" || { cat "$log" >&2; exit 1; }
cat "$log"
rm -f "$log"
echo "test: host and machine tests"
exec cargo test --locked --no-fail-fast --lib --bins --tests
