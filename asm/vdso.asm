; The vDSO: a shared object that the kernel maps into every program, whose functions tell the time without a system call (vdso(7)).
;
; Assembled flat (`nasm -f bin`), so headers and tables of the ELF file stand here as they are; it fits one page. C libraries look
; its functions up by name and version through the dynamic section (System V gABI, chapter 5; its hash table has one bucket, so
; that no hash of a name is needed). Section headers are for debuggers.
;
; The page before it is the kernel's word on the time (src/hw/shared_clock.rs writes it): how to make nanoseconds of the time-stamp
; counter, as `logic::time::scale::Line` does. Where the counter is no clock, the functions make the system call.

bits 64
default rel
org 0

PAGE        equ 4096

; The data page. A sequence that is odd, or changes meanwhile, says that what was read may not fit together.
SEQUENCE    equ 0 - PAGE
BY_COUNTER  equ 4 - PAGE            ; 0: ask the kernel
WALL_NS     equ 8 - PAGE            ; the time of day when the kernel's clock was 0, in nanoseconds since 1970
FIRST       equ 16 - PAGE
LATER       equ 48 - PAGE           ; what holds from its start on
; A line.
START       equ 0                   ; a reading of the counter
START_NS    equ 8                   ; the time then
MULTIPLIER  equ 16
SHIFT       equ 24                  ; (reading - start) * multiplier >> shift is nanoseconds

; CLOCK_* of Linux. The coarse ones are as fine as the others; there are no leap seconds, nor is there sleep.
OF_DAY      equ 1 << 0 | 1 << 5 | 1 << 11                   ; REALTIME, REALTIME_COARSE, TAI
SINCE_START equ 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7           ; MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE, BOOTTIME
HIGHEST     equ 11

CALL_GETTIMEOFDAY   equ 96
CALL_TIME           equ 201
CALL_CLOCK_GETTIME  equ 228

NUMBER_SELECTOR     equ 0x38 | 3    ; src/hw/gdt.rs: a segment whose limit is the processor's number

image:
    db 0x7f, "ELF", 2, 1, 1, 0      ; 64 bits, little-endian
    dq 0
    dw 3, 62                        ; ET_DYN, EM_X86_64
    dd 1
    dq 0, program_headers, section_headers
    dd 0
    dw 64, 56, (program_headers.end - program_headers) / 56, 64, SECTIONS, SECTIONS - 1

; Type, flags, start, end, alignment.
%macro PROGRAM_HEADER 5
    dd %1, %2
    dq %3, %3, %3, %4 - %3, %4 - %3, %5
%endmacro

program_headers:
    PROGRAM_HEADER 1, 5, image, image.end, PAGE             ; PT_LOAD, read and execute
    PROGRAM_HEADER 2, 4, dynamic, dynamic.end, 8            ; PT_DYNAMIC, read
    PROGRAM_HEADER 0x6474e550, 4, unwind_index, unwind_index.end, 4  ; PT_GNU_EH_FRAME
.end:

%macro NAME 1
%defstr spelling %1
name_%1: db spelling, 0
%endmacro

names:
    db 0
    NAME __vdso_clock_gettime
    NAME __vdso_gettimeofday
    NAME __vdso_time
    NAME __vdso_getcpu
name_object: db "linux-vdso.so.1", 0
name_version: db "LINUX_2.6", 0
names.end:

; The names without prefix are the ends of those with it.
PREFIX      equ 7                   ; __vdso_
IS_FUNCTION equ 2                   ; STT_FUNC
IS_GLOBAL   equ 1 << 4              ; STB_GLOBAL
IS_WEAK     equ 2 << 4              ; STB_WEAK

; Name, function: both of a function's symbols.
%macro SYMBOLS_OF 2
    dd %1 - names
    db IS_GLOBAL | IS_FUNCTION, 0
    dw TEXT_SECTION
    dq %2, %2.end - %2
    dd %1 + PREFIX - names
    db IS_WEAK | IS_FUNCTION, 0
    dw TEXT_SECTION
    dq %2, %2.end - %2
%endmacro

align 8, db 0
symbols:
    times 24 db 0
    SYMBOLS_OF name___vdso_clock_gettime, clock_gettime
    SYMBOLS_OF name___vdso_gettimeofday, gettimeofday
    SYMBOLS_OF name___vdso_time, time
    SYMBOLS_OF name___vdso_getcpu, getcpu
.end:
SYMBOLS     equ (symbols.end - symbols) / 24

hash:
    dd 1, SYMBOLS, 1, 0             ; one bucket, with the chain of all symbols in their order
%assign symbol 2
%rep 7
    dd symbol
%assign symbol symbol + 1
%endrep
    dd 0
.end:

; The version of each symbol: an index into `versions`.
symbol_versions:
    dw 0
    times SYMBOLS - 1 dw 2
.end:

; The hash of a name that the gABI has for it.
%macro HASH_OF 1
%assign value 0
%strlen length %1
%assign place 1
%rep length
%substr letter %1 place
%assign value (value << 4) + letter
%assign high value & 0xf0000000
%assign value (value ^ (high >> 24)) & ~high & 0xffffffff
%assign place place + 1
%endrep
    dd value
%endmacro

; Flags, index, name, text of the name, bytes to the next.
%macro VERSION 5
    dw 1, %1, %2, 1
    HASH_OF %4
    dd 20, %5, %3 - names, 0
%endmacro

align 8, db 0
versions:
    VERSION 1, 1, name_object, "linux-vdso.so.1", 28        ; the object's own (VER_FLG_BASE)
    VERSION 0, 2, name_version, "LINUX_2.6", 0
.end:

align 8, db 0
dynamic:
    dq 14, name_object - names      ; DT_SONAME
    dq 4, hash                      ; DT_HASH
    dq 5, names                     ; DT_STRTAB
    dq 6, symbols                   ; DT_SYMTAB
    dq 10, names.end - names        ; DT_STRSZ
    dq 11, 24                       ; DT_SYMENT
    dq 0x6ffffff0, symbol_versions  ; DT_VERSYM
    dq 0x6ffffffc, versions         ; DT_VERDEF
    dq 0x6ffffffd, 2                ; DT_VERDEFNUM
    dq 0, 0
.end:

; How to go up from any place in the code: no function moves the stack (DWARF 5 section 6.4, LSB Core chapter 10).
align 8, db 0
unwind:
    dd .description - $ - 4, 0
    db 1, "zR", 0, 1, 0x78, 16, 1, 0x1b                     ; returns by RIP; addresses are relative, of 32 bits
    db 0x0c, 7, 8, 0x90, 1                                  ; the caller's RSP is RSP + 8, its RIP 8 bytes below that
    align 8, db 0
.description:
    dd .last - $ - 4, $ + 4 - unwind
    dd code - $, code.end - code
    db 0
    align 8, db 0
.last:
    dd 0
.end:

align 4, db 0
unwind_index:
    db 1, 0x1b, 3, 0x3b
    dd unwind - $, 1, code - unwind_index, unwind.description - unwind_index
.end:

align 16, db 0
code:

; The time, in RAX, of the clock in EDI, which is one of those above; goes to %1 if only the kernel knows it. Leaves RSI, RDI.
%macro READ_TIME 1
    lea r8, [image]
%%again:
    mov r9d, [r8 + SEQUENCE]
    cmp dword [r8 + BY_COUNTER], 0
    je %1
    test r9d, 1
    jnz %%wait
    lfence                          ; the counter is read after the sequence (SDM volume 2, RDTSC)
    rdtsc
    shl rdx, 32
    or rax, rdx
    lea r10, [r8 + LATER]
    lea r11, [r8 + FIRST]
    cmp rax, [r10 + START]
    cmovb r10, r11
    xor edx, edx
    sub rax, [r10 + START]
    cmovb rax, rdx
    mul qword [r10 + MULTIPLIER]
    mov ecx, [r10 + SHIFT]
    test cl, 64                     ; by as much SHRD does not shift
    jz %%shift
    mov rax, rdx
    xor edx, edx
%%shift:
    shrd rax, rdx, cl
    add rax, [r10 + START_NS]
    mov ecx, OF_DAY
    bt ecx, edi
    jnc %%check
    add rax, [r8 + WALL_NS]
%%check:
    cmp r9d, [r8 + SEQUENCE]
    je %%done
%%wait:
    pause
    jmp %%again
%%done:
%endmacro

; RAX nanoseconds become RAX seconds and RDX nanoseconds.
%macro DIVIDE 0
    mov ecx, 1000000000
    xor edx, edx
    div rcx
%endmacro

; clock_gettime(EDI: clock, RSI: timespec)
align 16
clock_gettime:
    cmp edi, HIGHEST
    ja .by_kernel
    mov eax, OF_DAY | SINCE_START
    bt eax, edi
    jnc .by_kernel
    READ_TIME .by_kernel
    DIVIDE
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
    ret
.by_kernel:
    mov eax, CALL_CLOCK_GETTIME
    syscall
    ret
.end:

; gettimeofday(RDI: timeval or null, RSI: timezone or null)
align 16
gettimeofday:
    test rdi, rdi
    jz .by_kernel
    test rsi, rsi
    jnz .by_kernel
    mov rsi, rdi
    xor edi, edi
    READ_TIME .with_both
    DIVIDE
    mov [rsi], rax
    mov eax, edx
    xor edx, edx
    mov ecx, 1000
    div ecx
    mov [rsi + 8], rax
    xor eax, eax
    ret
.with_both:
    mov rdi, rsi
    xor esi, esi
.by_kernel:
    mov eax, CALL_GETTIMEOFDAY
    syscall
    ret
.end:

; time(RDI: where to put it as well, or null)
align 16
time:
    mov rsi, rdi
    xor edi, edi
    READ_TIME .by_kernel
    DIVIDE
    test rsi, rsi
    jz .done
    mov [rsi], rax
.done:
    ret
.by_kernel:
    mov rdi, rsi
    mov eax, CALL_TIME
    syscall
    ret
.end:

; getcpu(RDI: processor or null, RSI: node or null). There is one node.
align 16
getcpu:
    mov eax, NUMBER_SELECTOR
    lsl eax, eax
    test rdi, rdi
    jz .node
    mov [rdi], eax
.node:
    test rsi, rsi
    jz .done
    mov dword [rsi], 0
.done:
    xor eax, eax
    ret
.end:
code.end:

; Name, type, flags, start, end, alignment, what else.
%macro SECTION_HEADER 6-9 0, 0, 0
    dd .%1 - section_names, %2
    dq %3, %4, %4, %5 - %4
    dd %7, %8
    dq %6, %9
%endmacro

section_names:
    db 0
section_headers.names: db ".shstrtab", 0
section_headers.strings: db ".dynstr", 0
section_headers.symbols: db ".dynsym", 0
section_headers.hash: db ".hash", 0
section_headers.symbol_versions: db ".gnu.version", 0
section_headers.versions: db ".gnu.version_d", 0
section_headers.dynamic: db ".dynamic", 0
section_headers.unwind: db ".eh_frame", 0
section_headers.unwind_index: db ".eh_frame_hdr", 0
section_headers.code: db ".text", 0
section_names.end:

TEXT_SECTION equ 9
align 8, db 0
section_headers:
    times 64 db 0
    SECTION_HEADER strings, 3, 2, names, names.end, 1                           ; SHT_STRTAB, SHF_ALLOC
    SECTION_HEADER symbols, 11, 2, symbols, symbols.end, 8, 1, 1, 24            ; SHT_DYNSYM
    SECTION_HEADER hash, 5, 2, hash, hash.end, 4, 2, 0, 4                       ; SHT_HASH
    SECTION_HEADER symbol_versions, 0x6fffffff, 2, symbol_versions, symbol_versions.end, 2, 2, 0, 2
    SECTION_HEADER versions, 0x6ffffffd, 2, versions, versions.end, 8, 1, 2, 0
    SECTION_HEADER dynamic, 6, 2, dynamic, dynamic.end, 8, 1, 0, 16             ; SHT_DYNAMIC
    SECTION_HEADER unwind, 1, 2, unwind, unwind.end, 8                          ; SHT_PROGBITS
    SECTION_HEADER unwind_index, 1, 2, unwind_index, unwind_index.end, 4
    SECTION_HEADER code, 1, 6, code, code.end, 16                               ; SHF_ALLOC, SHF_EXECINSTR
    SECTION_HEADER names, 3, 0, section_names, section_names.end, 1
.end:
SECTIONS    equ (section_headers.end - section_headers) / 64
image.end:
%if image.end - image > PAGE
%error the vDSO does not fit its page
%endif
