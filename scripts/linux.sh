#!/usr/bin/env bash
# Makes a Linux to compare with, of Debian's kernel and busybox, which are unpacked and not installed:
#   scripts/linux.sh boot       build/linux/boot: the kernel for clouds, which comes to a shell on the serial port
#   scripts/linux.sh console    build/linux/console: one that scrolls the text of `then=scroll` over its console and tells how long that took
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
    boot) package=linux-image-cloud-amd64 ;;
    console) package=linux-image-amd64 ;;
    *) echo "usage: scripts/linux.sh boot|console" >&2; exit 2 ;;
esac
output=build/linux/$1
if [[ -f $output/vmlinuz && $output/initramfs.cpio -nt scripts/linux.sh ]]; then exit; fi
command -v apt-get >/dev/null || { echo "linux: Debian's apt-get is needed to fetch a Linux kernel" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "linux: fetching kernel and busybox"
kernel=$(apt-cache depends "$package" | sed -n 's/ *Depends: *\(linux-image\)/\1/p')
[[ -n $kernel ]] || { echo "linux: there is no $package; does apt-get update help?" >&2; exit 1; }
(cd "$work" && apt-get download -qq "$kernel" busybox-static 2>/dev/null && for package in *.deb; do dpkg-deb -x "$package" files; done)
mkdir -p "$output" "$work/root/bin" "$work/root/dev" "$work/root/proc" "$work/root/sys"
cp "$work"/files/boot/vmlinuz-* "$output/vmlinuz"
cp "$work/files/bin/busybox" "$work/root/bin/"
nasm -f bin -o "$work/root/bin/counter" tests/bench/counter.asm
chmod 755 "$work/root/bin/counter"

cat >"$work/init-boot" <<'SCRIPT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/counter
exec /bin/busybox setsid /bin/busybox cttyhack /bin/busybox sh
SCRIPT
cat >"$work/init-console" <<'SCRIPT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox awk 'BEGIN {
    text = "The quick brown fox jumps over the lazy dog, and the dog does not mind: it has seen many such foxes. "
    for (line = 0; line < 10000; line++) {
        first = line % length(text)
        printf "%5d %s%s\n", line, substr(text, first + 1), substr(text, 1, first)
    }
}' >/text
read begin rest </proc/uptime
/bin/busybox cat /text >/dev/tty1
read end rest </proc/uptime
echo "$begin $end" | /bin/busybox awk '{ printf "scrolled: 10000 lines in %d ms\n", ($2 - $1) * 1000 }' >/dev/ttyS0
/bin/busybox sleep 1000
SCRIPT
install -m 755 "$work/init-$1" "$work/root/init"
(cd "$work/root" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null) >"$output/initramfs.cpio"
echo "linux: $output/vmlinuz, $output/initramfs.cpio"
