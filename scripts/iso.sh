#!/usr/bin/env bash
# Makes os.iso, which boots through GRUB as a CD and as a USB stick, from BIOS and (if GRUB's EFI modules are there) UEFI.
#   scripts/iso.sh [kernel argument ...]        OUTPUT=file makes another file than os.iso; INITRAMFS=file takes that
set -euo pipefail
output=${OUTPUT:+$(realpath -m "$OUTPUT")}
initramfs=${INITRAMFS:+$(realpath -m "$INITRAMFS")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${output:-os.iso}
umask 022
export LC_ALL=C TZ=UTC
# The images of one commit are alike to the byte, so they carry a fixed date: 2026-01-01 00:00 UTC.
export SOURCE_DATE_EPOCH=1767225600

arguments="$*"
if [[ $arguments = *[^[:alnum:]\ =._,:/@%+-]* ]]; then
    echo "iso: kernel arguments may have letters, digits, blanks and =._,:/@%+- only" >&2
    exit 2
fi
scripts/setup.sh run
scripts/kernel.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/boot/grub" "$work/bin" "$work/tmp"
install -m 644 build/kernel.elf "$work/root/boot/kernel.elf"
install -m 644 "${initramfs:-build/initramfs.cpio}" "$work/root/boot/initramfs.cpio"
(cd build && md5sum kernel.elf) >"$work/root/boot/kernel.md5"
sed "s|@ARGUMENTS@|$arguments|" grub/grub.cfg >"$work/root/boot/grub/grub.cfg"
find "$work/root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# grub-mkrescue makes the EFI partition with mformat, which draws a serial number by lot unless it is given one; and as large as a
# floppy disk of 2880 KiB, of which 720 are more than enough.
cat >"$work/bin/mformat" <<SCRIPT
#!/bin/bash
exec $(command -v mformat) -N 45524553 "\${@/#2880/720}"
SCRIPT
chmod 755 "$work/bin/mformat"
echo "iso: composing $output"
# Only what grub.cfg uses, and what GRUB itself loads to find it; it complains of each kind of partition table that is left out.
# Not packed: to unpack them takes GRUB longer than to read them. What only UEFI needs comes last: GRUB goes to CHS when a BIOS fails
# to read, and of a small disk the BIOS leaves the last two cylinders out.
if ! TMPDIR=$work/tmp PATH=$work/bin:$PATH grub-mkrescue --output="$work/os.iso" \
    --locales= --fonts= --themes= --compress=no \
    --install-modules="multiboot2 normal all_video hashsum gcry_md5 serial terminal sleep part_msdos part_gpt part_apple part_acorn part_amiga part_bsd part_dfly part_dvh part_plan part_sun part_sunpc iso9660 fat keystatus test echo configfile" \
    --modules= "$work/root" -- -find /boot/grub -wholename '*/x86_64-efi/*' -exec sort_weight -1 -- -volid ERES \
    -volume_date all_file_dates "=$SOURCE_DATE_EPOCH" -volume_date uuid 2026010100000000 \
    >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi
chmod 644 "$work/os.iso"
mv "$work/os.iso" "$output"
efi=""
[[ -d /usr/lib/grub/x86_64-efi ]] && efi=" and UEFI"
echo "iso: $output, $(stat -c %s "$output") bytes, for BIOS$efi"
