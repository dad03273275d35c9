#!/usr/bin/env bash
# Measures: scripts/bench.sh [boot] [--runs N] [--no-linux]   how long booting takes, by every door, and beside a Linux; what it weighs
#           scripts/bench.sh console [--runs N] [--linux]     how fast text scrolls, and on Linux's console beside ours
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=boot
case ${1:-} in
    boot | console) bench=$1; shift ;;
    "" | --*) ;;
    *)
        echo "usage: scripts/bench.sh [boot|console] [--runs N] [--linux|--no-linux]" >&2
        exit 2
        ;;
esac
linux=false
if [[ $bench = boot && " $* " != *" --no-linux "* || " $* " = *" --linux "* ]]; then linux=true; fi
scripts/setup.sh test
scripts/iso.sh
scripts/raw.sh
if $linux; then
    if scripts/linux.sh "$bench"; then set -- "$@" --linux; else echo "bench: no Linux to compare with; going on without" >&2; fi
fi
echo "bench: measuring $bench"
cargo bench --quiet --locked --bench "$bench" -- "$@"
