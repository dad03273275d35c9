#!/usr/bin/env bash
# Measures: scripts/bench.sh [boot] [--runs N]       how long booting takes, by every door, and what it weighs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=boot
case ${1:-} in
    boot) shift ;;
    "" | --runs) ;;
    *)
        echo "usage: scripts/bench.sh [boot] [--runs N]" >&2
        exit 2
        ;;
esac
scripts/setup.sh test
scripts/iso.sh
scripts/raw.sh
echo "bench: measuring $bench"
cargo bench --quiet --locked --bench "$bench" -- "$@"
