#!/usr/bin/env bash
# Builds both images again from a copy of the sources in another directory, with another umask, time zone and target
# directory, and compares them byte by byte with os.iso and build/os.img.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/a-longer name"
tar --exclude=./target --exclude=./build --exclude=./os.iso --exclude=./.git -cf - . | tar -xf - -C "$copy/a-longer name"
(
    cd "$copy/a-longer name"
    umask 077
    export TZ=Pacific/Auckland CARGO_TARGET_DIR=$copy/elsewhere
    scripts/iso.sh >/dev/null
    scripts/raw.sh >/dev/null
)
for image in os.iso build/os.img; do
    cmp "$image" "$copy/a-longer name/$image" || { echo "reproduce: $image differs between two builds" >&2; exit 1; }
    echo "reproduce: $image is the same to the byte"
done
