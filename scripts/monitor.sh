#!/usr/bin/env bash
# Makes the images for tests of the kernel itself, which comes to its own prompt in them, the monitor's, and starts no program:
# build/monitor.img and build/monitor.iso, with build/files.cpio, an initramfs without programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/kernel.sh
build/image cpio user/root build/files.cpio
export INITRAMFS=build/files.cpio
OUTPUT=build/monitor.img scripts/raw.sh init=none
OUTPUT=build/monitor.iso scripts/iso.sh init=none
