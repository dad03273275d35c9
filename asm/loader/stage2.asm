; Stage 2 of the BIOS loader: brings the machine from real mode to the 32-bit Multiboot2 entry of the kernel.
;
; Contract with the sector: at 0:8000, whole and with the right CRC, entered at 0:8004 in real mode, drive in DL.
; Contract with the kernel: Multiboot2 specification 2.0, section 3.3 (machine state) and 3.6 (boot information).
; Contract with the host tool (scripts/image/layout.rs): the payload table below; the kernel is flattened there, so
;                          nothing here knows ELF or a file system.
;
; Everything but the BIOS calls themselves runs in flat 32-bit protected mode with interrupts off, so memory above
; 1 MiB is simply there; `bios` (bios.asm) goes down to real mode for one interrupt and comes back. The direction flag
; is clear and DS = ES = SS = flat data everywhere. A routine may change any register that it does not promise to keep.
;
; Low memory while the loader runs. Nothing above 1C000h is written, so no EBDA is touched:
;
;       00000..005FF    interrupt vectors, BIOS data, and the bytes some BIOSes scribble on: left alone
;       00600..06FFF    stack, down from 7000h, for us and for the BIOS
;       07C00..07DFF    the sector, finished with
;       08000..09FFF    this file (16 sectors at most)
;       0A000..0AFFF    CRC-32 tables
;       0B000..0BBFF    memory map: 128 Multiboot2 entries of 24 bytes
;       0BC00..0BC17    E820 buffer; at 0BC20 the disk address packet; from 0BC30 variables, zero at first
;       0BD00..0BDFF    VBE mode information
;       0BE00..0BFFF    VBE controller information
;       10000..17FFF    disk buffer: 64 sectors, inside one 64 KiB block
;       18000..1BFFF    Multiboot2 boot information, handed to the kernel
;
; What is written often, the stack above all, lies in pages without code: emulators notice each write to a page with code.

        cpu x64
        bits 16
        org 8000h

section .bss nobits start=VARIABLES
variables:
section .text

MEMORY_MAP              equ 0B000h
MEMORY_MAP_ENTRIES      equ 128
E820_BUFFER             equ 0BC00h
DISK_PACKET             equ 0BC20h
VARIABLES               equ 0BC30h
VBE_MODE                equ 0BD00h
VBE_CONTROLLER          equ 0BE00h
CHECKSUM_TABLES         equ 0A000h
DISK_BUFFER             equ 10000h
DISK_BUFFER_SECTORS     equ 64
INFORMATION             equ 18000h
LOW_MEMORY_TOP          equ 1C000h
STACK_TOP               equ 7000h
SECTOR                  equ 512
PAGE                    equ 4096

; ---- The payload table, filled in by the host tool. Offsets from the start of this file are part of the contract. ----

magic:          db 'ERS2'
entry:          jmp near real_mode_entry
                db 2                    ; version of this table
; Offsets within a payload's description:
PAYLOAD_LBA      equ 0
PAYLOAD_BYTES    equ 4                  ; as it is in the image: packed
PAYLOAD_CRC      equ 8                  ; of those
PAYLOAD_UNPACKED equ 12                 ; bytes
PAYLOAD_ADDRESS  equ 16
PAYLOAD_ROOM     equ 20                 ; bytes of memory from that address on: for unpacking, and for the kernel's .bss
kernel:         dd 0, 0, 0, 0, 0, 0
initramfs:      dd 0, 0, 0, 0, 0, 0     ; no bytes: no initramfs; its address is chosen in memory.asm
kernel_entry:   dd 0                    ; physical
preferred_width:  dw 0                  ; 0: text mode
preferred_height: dw 0
preferred_depth:  dw 0                  ; what the kernel's header asks for; 32 and 24 are accepted whatever it says
command_line_bytes: dw 0                ; without the terminator
command_line:   times 1024 db 0         ; NUL-terminated

; ---- Real mode, once ----

real_mode_entry:
        cli
        cld
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK_TOP
        mov di, variables
        mov cx, variables_end - variables
        rep stosb
        mov [boot_drive], dl
        call read_time_stamp
        o32 lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE32:protected_mode_entry

; Keeps the time-stamp counter, if there are CPUID (EFLAGS bit 21 can be changed, SDM 1, 20.1) and a counter (leaf 1,
; EDX bit 4). The kernel reports from it how long loading took.
read_time_stamp:
        pushfd
        pop eax
        mov ecx, eax
        xor eax, 1 << 21
        push eax
        popfd
        pushfd
        pop eax
        push ecx
        popfd
        xor eax, ecx
        test eax, 1 << 21
        jz .return
        mov byte [has_cpuid], 1
        mov eax, 1
        cpuid
        test dl, 1 << 4
        jz .return
        rdtsc
        mov [time_stamp], eax
        mov [time_stamp + 4], edx
        mov byte [has_time_stamp], 1
.return:
        ret

; ---- Protected mode: the whole boot on one page ----

        bits 32
protected_mode_entry:
        mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax

        call check_processor
        call open_a20
        call read_memory_map
        call place_payloads
        call open_disk
        mov esi, kernel
        call load_payload
        mov esi, initramfs
        call load_payload
        call check_payloads
        mov esi, kernel
        call unpack_payload
        jne kernel_damaged
        mov esi, initramfs
        call unpack_payload
        jne initramfs_damaged
        call find_rsdp
        call choose_video_mode
        call set_video_mode             ; from here on nothing can fail, so nothing needs the text screen
        call write_information

        ; Masked so late because disk reads need their interrupts; the kernel brings its own controller set-up.
        mov al, 0FFh
        out 21h, al
        out 0A1h, al
        ; Multiboot2 3.3: EAX magic, EBX information; flat segments, A20 on, paging off and interrupts off they are.
        mov eax, 36D76289h
        mov ebx, INFORMATION
        jmp [kernel_entry]

check_payloads:
        call build_checksum_tables
        mov esi, kernel
        call checksum_payload
        jne kernel_damaged
        mov esi, initramfs
        call checksum_payload
        jne initramfs_damaged
        ret

kernel_damaged:
        call fail
        db 'E22 kernel damaged', 0
initramfs_damaged:
        call fail
        db 'E23 initramfs damaged', 0

%include "bios.asm"
%include "processor.asm"
%include "memory.asm"
%include "disk.asm"
%include "checksum.asm"
%include "unpack.asm"
%include "acpi.asm"
%include "video.asm"
%include "information.asm"

; ---- Segments (SDM 3, 3.4.5): flat for protected mode, 64 KiB at 0 for the way to and from real mode ----

        align 8
gdt:            dq 0
CODE32          equ $ - gdt
                dq 00CF9A000000FFFFh
DATA32          equ $ - gdt
                dq 00CF92000000FFFFh
CODE16          equ $ - gdt
                dq 00009A000000FFFFh
DATA16          equ $ - gdt
                dq 000092000000FFFFh
gdt_register:   dw $ - gdt - 1
                dd gdt

section .bss
        alignb 8
time_stamp:     resq 1
has_time_stamp: resb 1
has_cpuid:      resb 1
boot_drive:     resb 1
variables_end:
%if variables_end - variables > VBE_MODE - VARIABLES
%error "the variables reach into the VBE mode information"
%endif

section .text
%if $ - $$ > 16 * SECTOR
%error "stage 2 is longer than the 16 sectors that the boot sector loads"
%endif
