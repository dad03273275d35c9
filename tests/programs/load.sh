#!/bin/sh
# Loads of tests/machine/load.rs: `load.sh measure forks|pipes|threads|objects COUNT`, `load.sh parallel SECONDS`, `load.sh answer JOB`,
# `load.sh greed`. All but `answer` are for Eres.

JOBS='1 2 3 4 5 6 7 8'

# Tells free memory and the kernel's heap in KiB. The shell reads them itself: another program would have memory of its own.
memory() {
    # What has just ended is gone by then.
    /bin/busybox sleep 1
    while read -r name kib _; do
        case $name in
        MemFree:) free=$kib ;;
        Slab:) heap=$kib ;;
        esac
    done </proc/meminfo
    echo "$1: free $free heap $heap"
}

forks() {
    /bin/busybox true
}

pipes() {
    echo text | /bin/busybox cat | /bin/busybox cat >/dev/null
}

# Threads, their locks, and how they end.
threads() {
    /tests/threads >/dev/null && /tests/musl-threads >/dev/null
}

# What keeps things in the kernel: sockets, descriptors on their way, terminals, events, sessions, mappings.
objects() {
    for program in children events jobs messages procfs pty sockets transfers waiting writers; do
        "/tests/$program" >/dev/null || return
    done
}

# repeat WHAT COUNT
repeat() {
    count=0
    while [ $count -lt "$2" ]; do
        "$1" || echo "failed: $1 $?"
        count=$((count + 1))
    done
}

# measure WHAT COUNT: what that many cost after as many.
measure() {
    repeat "$1" "$2"
    memory before
    repeat "$1" "$2"
    memory after
}

# One pipeline's answer, the same for the same job.
answer() {
    seq "$1" $(($1 + 999)) | awk '{ print $1 * 7 }' | LC_ALL=C sort -r | md5sum
}

# pipelines JOB END: answers until then, and programs that are killed.
pipelines() {
    rounds=0
    while [ "$(date +%s)" -lt "$2" ]; do
        answer "$1" >>"/tmp/answers.$1"
        /bin/busybox sleep 1001 &
        kill $!
        wait $!
        rounds=$((rounds + 1))
    done
    echo "job $1: $rounds rounds, $(wc -l <"/tmp/answers.$1") answers, all $(sort -u "/tmp/answers.$1")"
}

# parallel SECONDS
parallel() {
    end=$(($(date +%s) + $1))
    for job in $JOBS; do
        pipelines "$job" "$end" &
    done
    wait
    echo "all jobs have ended"
}

# Two programs want all memory; a third one wants none.
greed() {
    memory before
    /bin/busybox sleep 1001 &
    modest=$!
    jobs=
    for _ in 1 2; do
        (
            yes | /bin/busybox sort >/dev/null
            echo "greedy: $?"
        ) &
        jobs="$jobs $!"
    done
    # shellcheck disable=SC2086 # It is a list.
    wait $jobs
    kill $modest && echo "modest: lives"
    memory after
}

"$@"
