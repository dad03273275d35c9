#!/usr/bin/env bash
# Makes build/initramfs.cpio, the first root file system: user/root, our own programs, and Debian's busybox with a link for each of
# its commands. Without busybox (no apt-get, no network) it has the rest, and init says that there is no shell.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022
export LC_ALL=C TZ=UTC

mkdir -p build
home=${CARGO_HOME:-$HOME/.cargo}
flags=(--remap-path-prefix="$PWD=/eres" -Clinker=rust-lld -Clink-self-contained=yes)
for source in "$home"/registry/src/*; do
    flags+=(--remap-path-prefix="$source=/registry")
done
# What separates them in that variable, so that paths may have blanks.
joined=$(printf '%s\037' "${flags[@]}")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/user
CARGO_ENCODED_RUSTFLAGS=${joined%$'\037'} cargo build --quiet --locked --release --manifest-path user/Cargo.toml \
    --target x86_64-unknown-linux-musl --target-dir "$target"

if [[ ! -x build/busybox ]]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if (cd "$work" && apt-get download -qq busybox-static 2>/dev/null && dpkg-deb -x busybox-static_*.deb files); then
        install -m 755 "$work/files/bin/busybox" build/busybox
    else
        echo "root: Debian's busybox-static cannot be had; there will be no shell" >&2
    fi
fi

rm -rf build/root
cp -R user/root build/root
# The super-user's, which git does not keep while it is empty.
mkdir -p build/root/root
install -m 755 "$target/x86_64-unknown-linux-musl/release/init" build/root/init
if [[ -x build/busybox ]]; then
    mkdir -p build/root/bin
    install -m 755 build/busybox build/root/bin/busybox
    while read -r path; do
        if [[ $path = */* && ! -e build/root/$path ]]; then
            mkdir -p "build/root/${path%/*}"
            ln -s /bin/busybox "build/root/$path"
        fi
    done < <(build/busybox --list-full)
fi
build/image cpio build/root build/initramfs.cpio
