#!/usr/bin/env bash
# Builds build/tests/initramfs.cpio, the first root file system with the programs of tests/machine/programs.rs besides: our tests of
# system calls, and those in C; and `hostile`, for tests/machine/load.rs. The programs alone are in build/tests/programs, for Linux
# to run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022
export LC_ALL=C TZ=UTC

scripts/setup.sh test
[[ -d build/root ]] || scripts/kernel.sh
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/user
programs=build/tests/programs
rm -rf build/tests
mkdir -p "$programs"
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\037%s' -Clinker=rust-lld -Clink-self-contained=yes) cargo build --quiet --locked --release \
    --manifest-path user/Cargo.toml --package abi-tests --package hostile --target x86_64-unknown-linux-musl --target-dir "$target"
for program in abi-tests hostile; do
    install -m 755 "$target/x86_64-unknown-linux-musl/release/$program" "$programs/$program"
done
for source in user/c-tests/*.c; do
    name=${source##*/}
    options=(-O1 -Wall -Wextra -Werror -static -pthread -s)
    cc "${options[@]}" -o "$programs/${name%.c}" "$source"
    # The other C library makes other calls for the same functions. What these two are about it keeps from programs: it tries
    # sigtimedwait(2) again, has a limit of its own for sendmsg(2), and a signal of its own.
    case $name in
        messages.c | waiting.c) ;;
        *) musl-gcc "${options[@]}" -o "$programs/musl-${name%.c}" "$source" ;;
    esac
done
install -m 644 tests/programs/applets.sh "$programs/applets.sh"
install -m 755 tests/programs/all.sh "$programs/all.sh"
install -m 755 tests/programs/load.sh "$programs/load.sh"
cp -R build/root build/tests/root
mkdir -p build/tests/root/{dev,proc,tmp}
cp -R "$programs" build/tests/root/tests
build/image cpio build/tests/root build/tests/initramfs.cpio
