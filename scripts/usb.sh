#!/usr/bin/env bash
# Writes an image to a USB stick, and reads it back: scripts/usb.sh [--dry-run] [--loop] [iso|raw|FILE] [DEVICE]
#   iso      os.iso, for BIOS and UEFI (the default); raw: build/os.img, for BIOS; FILE: any image
#   DEVICE   such as sdb or /dev/sdb; without one, lists the disks that could be meant
#   --dry-run   says what would be done, after all checks, and writes nothing
#   --loop      takes a loop device too, for trying this out on a file (losetup(8))
# Everything on the stick is lost. Disks that are in use, or do not look like a stick, are refused.
set -euo pipefail

dry_run=false
loop=false
words=()
for word in "$@"; do
    case $word in
        --dry-run) dry_run=true ;;
        --loop) loop=true ;;
        -*) sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
        *) words+=("$word") ;;
    esac
done
what=iso
if ((${#words[@]})) && [[ ${words[0]} = iso || ${words[0]} = raw || -f ${words[0]} ]]; then
    what=${words[0]}
    [[ ! -f $what ]] || what=$(realpath "$what")
    words=("${words[@]:1}")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

refuse() {
    echo "usb: $*" >&2
    exit 1
}

# A column of lsblk(8) for a device itself, or for it and all that is on it.
field() { { lsblk --noheadings --nodeps --output "$1" "$2" 2>/dev/null || true; } | sed 's/^ *//; s/ *$//'; }
all() { { lsblk --noheadings --output "$1" "$2" 2>/dev/null || true; } | sed 's/^ *//; s/ *$//'; }
size_of() { lsblk --noheadings --nodeps --bytes --output SIZE "$1" | tr -d ' '; }
looks_like_a_stick() { [[ $(field TRAN "$1") = usb || $(field RM "$1") = 1 ]]; }
in_use() {
    local mounts
    mounts=$(all MOUNTPOINTS "$1" | sed '/^$/d')
    if [[ -n $mounts ]]; then echo "mounted at ${mounts//$'\n'/, }"; return; fi
    if all TYPE "$1" | grep -qvxE 'disk|part|loop|rom'; then echo "part of a RAID, LVM or encrypted volume"; fi
}

list() {
    local found=false name
    while read -r name; do
        if [[ $(field TYPE "/dev/$name") != disk ]] || ! looks_like_a_stick "/dev/$name"; then continue; fi
        $found || echo "usb: these could be meant:"
        found=true
        local state
        state=$(in_use "/dev/$name")
        printf '  %-10s %8s  %s%s\n' "$name" "$(field SIZE "/dev/$name")" "$(field MODEL "/dev/$name")" "${state:+ ($state)}"
    done < <(lsblk --noheadings --nodeps --output NAME | tr -d ' ')
    if $found; then
        echo "usb: then scripts/usb.sh $what NAME"
    else
        echo "usb: there is no USB stick or other removable disk"
    fi
}

if ((${#words[@]} == 0)); then
    list
    exit
fi
((${#words[@]} == 1)) || refuse "one device, please; there is no file ${words[0]}"
device=/dev/${words[0]#/dev/}
name=${device#/dev/}

type=$(field TYPE "$device")
case $type in
    disk) ;;
    loop) $loop || refuse "$device is a loop device, which --loop allows" ;;
    part) refuse "$device is a partition: the image is for the whole disk, /dev/$(field PKNAME "$device")" ;;
    "") refuse "there is no disk $device; scripts/usb.sh without a device lists those that there are" ;;
    *) refuse "$device is no disk but a $type" ;;
esac
state=$(in_use "$device")
[[ -z $state ]] || refuse "$device is in use: $state"
[[ $type = loop ]] || looks_like_a_stick "$device" || refuse "$device is neither removable nor on USB: it may be this machine's own disk"
[[ $(field RO "$device") = 0 ]] || refuse "$device is write-protected; some sticks have a switch"

case $what in
    iso) scripts/iso.sh; image=os.iso ;;
    raw) scripts/raw.sh; image=build/os.img ;;
    *) image=$what ;;
esac
bytes=$(stat -c %s "$image")
room=$(size_of "$device")
((room >= bytes)) || refuse "$device has room for $room bytes, and $image has $bytes"

echo "usb: $image, $bytes bytes, to $device: $(field SIZE "$device") $(field MODEL "$device")"
if $dry_run; then
    echo "usb: nothing was written (--dry-run)"
    exit
fi
as_root=()
if [[ ! -w $device ]]; then
    ((EUID == 0)) || command -v sudo >/dev/null || refuse "only root may write to $device"
    ((EUID == 0)) || as_root=(sudo)
fi
echo "usb: ALL THAT IS ON $device WILL BE LOST. To go on, type its name ($name):"
answer=
read -r answer || true
[[ $answer = "$name" ]] || refuse "nothing was written"

trap 'echo >&2; refuse "interrupted: $device is written in part and will not boot"' INT TERM
chunk=$((1 << 20))
begun=$(date +%s%N)
for ((at = 0; at < bytes; at += chunk)); do
    "${as_root[@]}" dd if="$image" of="$device" bs=$chunk skip=$((at / chunk)) seek=$((at / chunk)) count=1 \
        conv=notrunc,fdatasync status=none || { echo >&2; refuse "$device cannot be written at byte $at: try another stick or port"; }
    done=$((at + chunk < bytes ? at + chunk : bytes))
    milliseconds=$((($(date +%s%N) - begun) / 1000000 + 1))
    printf '\rusb: written %3d %%, %d kB/s ' $((done * 100 / bytes)) $((done / milliseconds))
done
echo
sync
# What is read back must come from the stick, not from memory.
"${as_root[@]}" blockdev --flushbufs "$device" 2>/dev/null || true
echo "usb: reading it back"
if ! difference=$("${as_root[@]}" cmp --bytes="$bytes" "$image" "$device" 2>&1); then
    refuse "what was read back is not what was written: $difference. The stick is failing, or is smaller than it says"
fi
"${as_root[@]}" blockdev --rereadpt "$device" 2>/dev/null || true
trap - INT TERM
echo "usb: $device is good; it can be pulled out"
