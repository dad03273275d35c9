#!/usr/bin/env bash
# Installs what the other scripts need: scripts/setup.sh [build|run|test]. `run` and `test` include `build`; `test` is the default.
# On Debian and its kin packages come from apt, as root or through sudo; elsewhere it says what is missing and fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

level=${1:-test}
# Program or file that proves the package is there, and the package.
build=(nasm:nasm xorriso:xorriso mformat:mtools grub-mkrescue:grub-common xz:xz-utils strip:binutils cc:gcc /usr/include/stdio.h:libc6-dev
    /usr/lib/grub/i386-pc/boot.img:grub-pc-bin /usr/lib/grub/x86_64-efi/moddep.lst:grub-efi-amd64-bin)
run=(qemu-system-x86_64:qemu-system-x86)
# The window that QEMU opens for a person.
window=(/usr/lib/x86_64-linux-gnu/qemu/ui-gtk.so:qemu-system-gui)
test=(shellcheck:shellcheck /usr/share/OVMF/OVMF_CODE_4M.fd:ovmf bochs:bochs /usr/share/bochs/BIOS-bochs-latest:bochsbios
    /usr/share/vgabios/vgabios.bin:vgabios g++:g++ musl-gcc:musl-tools)
case $level in
    build) wanted=("${build[@]}") ;;
    run) wanted=("${build[@]}" "${run[@]}" "${window[@]}") ;;
    test) wanted=("${build[@]}" "${run[@]}" "${test[@]}") ;;
    *) echo "usage: scripts/setup.sh [build|run|test]" >&2; exit 2 ;;
esac

have() {
    case $1 in
        /*) [[ -e $1 ]] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for entry in "${wanted[@]}"; do
    have "${entry%%:*}" || missing+=("${entry##*:}")
done
if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "setup: please install (Debian's names): ${missing[*]}" >&2
        exit 1
    fi
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || { echo "setup: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
        as_root=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    for entry in "${wanted[@]}"; do
        have "${entry%%:*}" || { echo "setup: ${entry##*:} is installed, but ${entry%%:*} is not there" >&2; exit 1; }
    done
fi

command -v rustup >/dev/null || { echo "setup: please install Rust through rustup (https://rustup.rs)" >&2; exit 1; }
toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
rustup toolchain list | grep -q "^$toolchain-" || { echo "setup: installing Rust $toolchain"; rustup toolchain install "$toolchain" --profile minimal; }
add_missing() { # kind, wanted name
    rustup "$1" list --toolchain "$toolchain" --installed | grep -q "^$2" || {
        echo "setup: adding Rust $1 $2"
        rustup "$1" add --toolchain "$toolchain" "$2"
    }
}
add_missing target x86_64-unknown-none
add_missing target x86_64-unknown-linux-musl
if [[ $level = test ]]; then
    add_missing component rustfmt
    add_missing component clippy
fi
