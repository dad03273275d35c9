#!/usr/bin/env bash
# Makes build/os.img, a disk image that boots through our own boot sector on any BIOS.
#   scripts/raw.sh [kernel argument ...]        OUTPUT=file makes another file; VIDEO=text stays in text mode;
#                                         KERNEL=debug takes one with the checks of a debug build; INITRAMFS=file takes that
set -euo pipefail
output=${OUTPUT:+$(realpath -m "$OUTPUT")}
initramfs=${INITRAMFS:+$(realpath -m "$INITRAMFS")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${output:-build/os.img}
umask 022

scripts/setup.sh run
kernel=${KERNEL:-kernel}
scripts/kernel.sh "$kernel"
for stage in sector stage2; do
    nasm -f bin -Werror -i asm/loader/ -o "build/$stage.bin" "asm/loader/$stage.asm"
done
options=()
[[ ${VIDEO:-} != text ]] || options+=(--text)
echo "raw: composing $output"
build/image raw --sector build/sector.bin --stage2 build/stage2.bin --kernel "build/$kernel.elf" \
    --initramfs "${initramfs:-build/initramfs.cpio}" --command-line "$*" "${options[@]}" --output "$output"
