#!/usr/bin/env bash
# Takes the picture that README shows, docs/prompt.png: the shell after some commands.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh test
scripts/raw.sh
echo "picture: typing at the prompt"
cargo bench --quiet --locked --bench picture -- "$PWD/docs/prompt.png"
echo "picture: docs/prompt.png, $(stat -c %s docs/prompt.png) bytes"
