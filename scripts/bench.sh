#!/usr/bin/env bash
# Measures: scripts/bench.sh [boot] [--runs N]              how long booting takes, by every door, and what it weighs
#           scripts/bench.sh console [--runs N] [--linux]   how fast text scrolls, and on Linux's console beside ours
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=boot
case ${1:-} in
    boot | console) bench=$1; shift ;;
    "" | --runs) ;;
    *)
        echo "usage: scripts/bench.sh [boot|console] [--runs N] [--linux]" >&2
        exit 2
        ;;
esac
scripts/setup.sh test
scripts/iso.sh
scripts/raw.sh
[[ " $* " != *" --linux "* ]] || scripts/linux.sh
echo "bench: measuring $bench"
cargo bench --quiet --locked --bench "$bench" -- "$@"
