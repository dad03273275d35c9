#!/usr/bin/env bash
# Builds an image and runs it in QEMU, the serial port on the terminal: scripts/run.sh [iso|raw] [QEMU argument ...]
# End QEMU with Ctrl-A X.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

door=iso
case ${1:-} in
    iso | raw) door=$1; shift ;;
esac
"scripts/$door.sh"
if [[ $door = iso ]]; then
    medium=(-cdrom os.iso)
else
    medium=(-drive "format=raw,file=build/os.img")
fi
exec qemu-system-x86_64 "${medium[@]}" -serial mon:stdio "$@"
