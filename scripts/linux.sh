#!/usr/bin/env bash
# Makes build/linux, a Linux that scrolls the text of `then=scroll` over its console and tells how long that took: for
# scripts/bench.sh console --linux. Debian's kernel and busybox are unpacked there, not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -f build/linux/vmlinuz && build/linux/initramfs.cpio -nt scripts/linux.sh ]]; then exit; fi
command -v apt-get >/dev/null || { echo "linux: Debian's apt-get is needed to fetch a Linux kernel" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "linux: fetching kernel and busybox"
kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: *//p')
(cd "$work" && apt-get download -qq "$kernel" busybox-static 2>/dev/null && for package in *.deb; do dpkg-deb -x "$package" files; done)
mkdir -p build/linux "$work/root/bin" "$work/root/dev" "$work/root/proc"
cp "$work"/files/boot/vmlinuz-* build/linux/vmlinuz
cp "$work/files/bin/busybox" "$work/root/bin/"
cat >"$work/root/init" <<'SCRIPT'
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
chmod 755 "$work/root/init"
(cd "$work/root" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null) >build/linux/initramfs.cpio
echo "linux: build/linux/vmlinuz, build/linux/initramfs.cpio"
