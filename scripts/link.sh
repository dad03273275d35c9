#!/usr/bin/env bash
# The kernel's linker, which rustc calls for scripts/kernel.sh: links twice, the second time with a table of the functions that the
# first link placed. The table lies behind all code, so code stays where it is; this fails if it does not.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

output=""
previous=""
for argument in "$@"; do
    [[ $previous != -o ]] || output=$argument
    previous=$argument
done
host=$(rustc -vV | sed -n 's/^host: //p')
linker=("$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld" -flavor gnu)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${linker[@]}" "$@"
"$root/build/image" symbols "$output" "$work/symbols" >/dev/null
(
    # The names that objcopy would give to the table's start and end have the file's path in them.
    cd "$work"
    objcopy --input-target binary --output-target elf64-x86-64 --wildcard --strip-symbol '_binary_*' \
        --rename-section .data=.symbols,alloc,load,readonly,data,contents symbols symbols.o
)
"${linker[@]}" "$@" "$work/symbols.o"
"$root/build/image" symbols "$output" "$work/again" >/dev/null
cmp --silent "$work/symbols" "$work/again" || { echo "link: the symbol table has moved the functions that it names" >&2; exit 1; }
