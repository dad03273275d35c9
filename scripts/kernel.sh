#!/usr/bin/env bash
# Builds what both images hold: build/kernel.debug.elf (with symbols), build/kernel.elf (without) and build/initramfs.cpio.
# The same sources give the same bytes wherever they lie: no path of the machine gets in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022
export LC_ALL=C TZ=UTC
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET

scripts/setup.sh build
mkdir -p build
# Where registry sources are unpacked, under whatever registry's name, becomes /registry; and this directory /eres.
cargo fetch --quiet --locked
home=${CARGO_HOME:-$HOME/.cargo}
remap="\"--remap-path-prefix=$PWD=/eres\""
for source in "$home"/registry/src/*; do
    remap+=",\"--remap-path-prefix=$source=/registry\""
done
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --locked --release --bin image
install -m 755 "$target/release/image" build/image
echo "kernel: building"
cargo build --quiet --locked --release --target x86_64-unknown-none --features kernel --bin kernel \
    --config "target.x86_64-unknown-none.rustflags=[$remap]" \
    --config "target.x86_64-unknown-none.linker=\"$PWD/scripts/link.sh\""
install -m 644 "$target/x86_64-unknown-none/release/kernel" build/kernel.debug.elf
strip --strip-all -o build/kernel.elf.new build/kernel.debug.elf
chmod 644 build/kernel.elf.new
mv build/kernel.elf.new build/kernel.elf
build/image cpio user/root build/initramfs.cpio
echo "kernel: build/kernel.elf, $(stat -c %s build/kernel.elf) bytes"
