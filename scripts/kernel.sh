#!/usr/bin/env bash
# Builds what both images hold: build/kernel.debug.elf (with symbols), build/kernel.elf (without) and build/initramfs.cpio.
#   scripts/kernel.sh [selftest] [debug]    builds build/selftest.elf besides, a kernel that tests itself, and build/debug.elf, one
#                                           with the checks of a debug build
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

# Builds build/$1.debug.elf and build/$1.elf with the features $2 and Cargo's profile $3.
build_kernel() {
    echo "$1: building"
    cargo build --quiet --locked --profile "$3" --target x86_64-unknown-none --features "$2" --bin kernel \
        --config "target.x86_64-unknown-none.rustflags=[$remap]" \
        --config "target.x86_64-unknown-none.linker=\"$PWD/scripts/link.sh\""
    install -m 644 "$target/x86_64-unknown-none/$3/kernel" "build/$1.debug.elf"
    strip --strip-all -o "build/$1.elf.new" "build/$1.debug.elf"
    build/image seal "build/$1.elf.new" >/dev/null
    chmod 644 "build/$1.elf.new"
    mv "build/$1.elf.new" "build/$1.elf"
    echo "$1: build/$1.elf, $(stat -c %s "build/$1.elf") bytes"
}

build_kernel kernel kernel release
[[ " $* " != *" selftest "* ]] || build_kernel selftest kernel,selftest release
[[ " $* " != *" debug "* ]] || build_kernel debug kernel debug-kernel
scripts/root.sh
