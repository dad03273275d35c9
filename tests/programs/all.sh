#!/bin/sh
# The first process of tests/machine/programs.rs on Eres: runs all test programs, then switches the machine off. Each one's output stands
# between two lines of its own.
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t tmpfs -o mode=1777 none /tmp
mkdir -p /dev/pts /tmp/run /tmp/applets
mount -t devpts -o mode=620,ptmxmode=666 none /dev/pts
cd /tmp/run || exit 1
for program in abi-tests children context events jobs jumps messages pending procfs pty sockets stack threads transfers waiting writers; do
    for run in "$program" "musl-$program"; do
        [ -x "/tests/$run" ] || continue
        echo "begin $run"
        "/tests/$run"
        echo "end $run: $?"
    done
done
echo "begin applets"
/bin/busybox sh /tests/applets.sh /tmp/applets 2>&1
echo "end applets: $?"
poweroff -f
