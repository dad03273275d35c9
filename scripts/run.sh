#!/usr/bin/env bash
# Builds an image and runs it in QEMU, the serial port on the terminal: scripts/run.sh [iso|raw|kernel] [QEMU argument ...]
# `kernel` takes no image: QEMU itself loads the kernel, and -append gives it arguments.
# End QEMU with Ctrl-A X.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

door=iso
case ${1:-} in
    iso | raw | kernel) door=$1; shift ;;
esac
[[ $door != kernel ]] || scripts/setup.sh run
"scripts/$door.sh"
case $door in
    iso) medium=(-cdrom os.iso) ;;
    raw) medium=(-drive "format=raw,file=build/os.img") ;;
    kernel) medium=(-kernel build/kernel.elf -initrd build/initramfs.cpio) ;;
esac
exec qemu-system-x86_64 "${medium[@]}" -serial mon:stdio "$@"
