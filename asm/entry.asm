; The entry of the kernel: Multiboot2 header and PVH note, checks, early page tables, switch to long mode, call of kernel_main.
;
; Entered as Multiboot2 specification 2.0 section 3.3 says: 32-bit protected mode, paging and interrupts off, EAX = magic,
; EBX = physical address of the boot information. CR0, CR4 and EFER differ from loader to loader, so all are written whole.
; PVH (Xen, docs/misc/pvh.pandoc) enters in the same state at a place of its own, and has a magic number in its information only.
;
; The page tables built here already keep writable and executable apart (where the CPU has NX): by the time Rust runs,
;   ffff800000000000 maps the first 4 GiB of physical memory, not executable, writable but for code and constants (direct map),
;   ffffc00000000000 is an empty 1 GiB window of 2 MiB pages that src/hw/window.rs fills,
;   ffffffff80000000 maps the kernel image by section (.text r-x, .rodata r--, .data/.bss rw-, stack with a guard page),
; and the identity map that the switch needed is gone again.

KERNEL_BASE equ 0xffffffff80000000
DIRECT_MAP  equ 0xffff800000000000
COM1        equ 0x3f8

MULTIBOOT2_HEADER_MAGIC equ 0xe85250d6
MULTIBOOT2_LOADER_MAGIC equ 0x36d76289

PRESENT     equ 1
WRITABLE    equ 2
LARGE_PAGE  equ 0x80
NX_HIGH     equ 0x80000000          ; bit 63 of an entry, in its upper half

; What a high-half symbol's physical address is.
%define PHYSICAL(symbol) ((symbol) - KERNEL_BASE)

extern kernel_main
extern __boot_start, __boot_end, __text_start, __text_end, __rodata_start, __rodata_end
extern __data_start, __data_end, __bss_end, __boot_stack_bottom, __boot_stack_top

; ---------------------------------------------------------------------------------------------------------------------
; Multiboot2 header (specification section 3.1). All tags are optional (flag bit 0): a loader that cannot grant one boots us
; all the same. The framebuffer tag matters on UEFI, where GRUB gives no framebuffer without it.
section .boot.header progbits alloc noexec nowrite align=8
header:
    dd MULTIBOOT2_HEADER_MAGIC, 0, header_end - header
    dd 0x100000000 - (MULTIBOOT2_HEADER_MAGIC + 0 + (header_end - header))
align 8
    dw 1, 1                         ; information request, optional
    dd .requests_end - ($ - 4)
    dd 1, 2, 3, 4, 6, 8, 14, 15     ; command line, loader, modules, memory, memory map, framebuffer, RSDP old and new
.requests_end:
align 8
    dw 5, 1                         ; framebuffer, optional
    dd 20, 1024, 768, 32
align 8
    dw 0, 0
    dd 8
header_end:

; What `image seal` fills in once the kernel is linked: the sum of all that is loaded, this field taken as 0. Some loaders check
; nothing of what they load. 0: not sealed.
align 8
    db 'ERESSEAL'
seal:
    dd 0
sealed_end:
    dd PHYSICAL(__data_end)

; ---------------------------------------------------------------------------------------------------------------------
; The note that names the PVH entry (Xen, public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY).
section .note.Xen note alloc noexec nowrite align=4
    dd 4, 8, 18
    db 'Xen', 0
    dq pvh_start

; ---------------------------------------------------------------------------------------------------------------------
section .boot.text progbits alloc exec nowrite align=16
bits 32
global pvh_start
pvh_start:
    cli
    mov esp, PHYSICAL(low_stack_top)
    xor edi, edi                    ; no magic: the information has its own
    jmp started
global _start
_start:
    cli
    mov esp, PHYSICAL(low_stack_top)
    mov edi, eax                    ; the loader's magic
    cmp edi, MULTIBOOT2_LOADER_MAGIC
    mov ebp, message_not_multiboot2
    jne fail
started:
    cld
    mov esi, ebx                    ; the boot information, kept for kernel_main
    mov [PHYSICAL(protocol)], edi

    ; Is all of it as it was linked? A sum of words, turned by a bit for each: whatever happens to one word shows.
    mov ebp, message_damaged
    mov edx, [seal]
    test edx, edx
    jz .whole
    mov dword [seal], 0
    mov ebx, __boot_start
    mov ecx, [sealed_end]
    sub ecx, ebx
    add ecx, 3
    shr ecx, 2
    xor eax, eax
.sum:
    rol eax, 1
    add eax, [ebx]
    add ebx, 4
    loop .sum
    mov [seal], edx
    cmp eax, edx
    jne fail
.whole:

    ; A 64-bit CPU? SDM volume 1 section 20.1 (EFLAGS.ID), volume 2 CPUID leaf 80000001h EDX bit 29.
    mov ebp, message_not_64_bit
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
    jz fail
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb fail
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29
    jz fail
    xor eax, eax
    test edx, 1 << 20               ; NX: without it, bit 63 of an entry is reserved
    jz .nx_known
    mov eax, NX_HIGH
.nx_known:
    mov [PHYSICAL(nx_high)], eax

    rdtsc                           ; every 64-bit CPU has it
    mov [PHYSICAL(entry_tsc)], eax
    mov [PHYSICAL(entry_tsc) + 4], edx

    call build_page_tables

    mov eax, 1 << 5                 ; CR4: PAE alone
    mov cr4, eax
    mov eax, PHYSICAL(pml4)
    mov cr3, eax
    mov ecx, 0xc0000080             ; EFER: long mode, NX when there
    xor edx, edx
    mov eax, 1 << 8
    cmp dword [PHYSICAL(nx_high)], 0
    je .no_nxe
    or eax, 1 << 11
.no_nxe:
    wrmsr
    mov eax, 0x80010033             ; CR0: PG, WP, NE, ET, MP, PE; caches on (CD and NW clear)
    mov cr0, eax
    mov ebp, esi                    ; the boot information
    lgdt [PHYSICAL(gdt_low_pointer)]
    jmp CODE_SELECTOR:long_mode

; Fills the tables described at the top. The .bss that holds them is zero: every loader zeroes it.
build_page_tables:
    push edi
    push esi
    ; Direct map, shared by the identity map for as long as that lives: 2 MiB pages, the first 4 MiB in 4 KiB pages.
    mov edi, PHYSICAL(pd_low)
    mov eax, PRESENT | WRITABLE | LARGE_PAGE
    mov edx, [PHYSICAL(nx_high)]
    mov ecx, 4 * 512
.large:
    mov [edi], eax
    mov [edi + 4], edx
    add eax, 2 << 20
    add edi, 8
    loop .large
    mov edi, PHYSICAL(pd_low)
    mov [edi + 4], ecx              ; 0: tables must not forbid execution
    mov [edi + 12], ecx
    mov eax, PHYSICAL(pt_low) + (PRESENT | WRITABLE)
    mov ecx, LOW_TABLES
    call link_tables
    mov edi, PHYSICAL(pt_low)
    xor eax, eax
    mov ecx, LOW_TABLES << 21
    mov ebx, PRESENT | WRITABLE
    call map_range
    mov eax, PHYSICAL(__text_start) ; the kernel's code and constants are not writable here either
    mov ecx, PHYSICAL(__rodata_end)
    mov ebx, PRESENT
    call map_range
    mov eax, __boot_start           ; this code: executable for as long as it runs, not writable
    mov ecx, __boot_end
    xor edx, edx
    call map_range

    ; The kernel image.
    mov edi, PHYSICAL(pt_image)
    mov eax, PHYSICAL(__text_start)
    mov ecx, PHYSICAL(__text_end)
    call map_range
    mov edx, [PHYSICAL(nx_high)]
    mov eax, PHYSICAL(__rodata_start)
    mov ecx, PHYSICAL(__rodata_end)
    call map_range
    mov ebx, PRESENT | WRITABLE
    mov eax, PHYSICAL(__data_start)
    mov ecx, PHYSICAL(__bss_end)
    call map_range
    mov eax, PHYSICAL(__boot_stack_bottom)
    mov ecx, PHYSICAL(__boot_stack_top)
    call map_range

    ; Upper levels. Their entries allow everything: the leaves decide.
    mov eax, PHYSICAL(pd_low) + (PRESENT | WRITABLE)
    mov edi, PHYSICAL(pdpt_low)
    mov ecx, 4
    call link_tables
    mov eax, PHYSICAL(pt_image) + (PRESENT | WRITABLE)
    mov edi, PHYSICAL(pd_image)
    mov ecx, IMAGE_TABLES
    call link_tables
    mov dword [PHYSICAL(pdpt_image) + 510 * 8], PHYSICAL(pd_image) + (PRESENT | WRITABLE)
    mov dword [PHYSICAL(pdpt_window)], PHYSICAL(pd_window) + (PRESENT | WRITABLE)
    mov dword [PHYSICAL(pml4)], PHYSICAL(pdpt_low) + (PRESENT | WRITABLE)
    mov dword [PHYSICAL(pml4) + 256 * 8], PHYSICAL(pdpt_low) + (PRESENT | WRITABLE)
    mov dword [PHYSICAL(pml4) + 384 * 8], PHYSICAL(pdpt_window) + (PRESENT | WRITABLE)
    mov dword [PHYSICAL(pml4) + 511 * 8], PHYSICAL(pdpt_image) + (PRESENT | WRITABLE)
    pop esi
    pop edi
    ret

; Maps the physical pages [EAX, ECX) with the flags EDX:EBX in the run of page tables at EDI, which starts at address 0.
map_range:
    cmp eax, ecx
    jae .done
    mov esi, eax
    shr esi, 12
    or eax, ebx
    mov [edi + esi * 8], eax
    mov [edi + esi * 8 + 4], edx
    and eax, ~0xfff
    add eax, 4096
    jmp map_range
.done:
    ret

; Points ECX entries at EDI to consecutive tables, the first of them EAX (with flags).
link_tables:
    mov [edi], eax
    add eax, 4096
    add edi, 8
    loop link_tables
    ret

%include "fail.inc.asm"

bits 64
long_mode:
    mov rax, entry_high
    jmp rax

; ---------------------------------------------------------------------------------------------------------------------
; The higher half: own stack and GDT there, identity map gone, then Rust.
section .text progbits alloc exec nowrite align=16
bits 64
global entry_high:function
entry_high:
    lgdt [rel gdt_high_pointer]
    lidt [rel no_gates]             ; the loader's gates are of 32 bits: without any, a failure now is a clean reset
    mov eax, DATA_SELECTOR
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov rsp, __boot_stack_top
    push CODE_SELECTOR
    lea rax, [rel .reloaded]
    push rax
    o64 retf
.reloaded:
    ; The identity map goes, and with it the reason for the boot part to be executable.
    mov rax, DIRECT_MAP - KERNEL_BASE + pml4
    mov qword [rax], 0
    mov rax, DIRECT_MAP - KERNEL_BASE + pt_low
    mov ecx, __boot_start
    mov ebx, __boot_end
    mov edx, [rel nx_high]
.boot_page:
    mov esi, ecx
    shr esi, 12
    mov [rax + rsi * 8 + 4], edx
    add ecx, 4096
    cmp ecx, ebx
    jb .boot_page
    mov rax, cr3
    mov cr3, rax
    mov edi, ebp                    ; kernel_main(information: u32, entry_tsc: u64, protocol: u32)
    mov rsi, [rel entry_tsc]
    mov edx, [rel protocol]
    xor ebp, ebp                    ; ends the chain of frame pointers
    call kernel_main
.stop:
    cli
    hlt
    jmp .stop

section .rodata progbits alloc noexec nowrite align=8
; Accessed bits are set: the CPU would write them into this read-only page otherwise.
gdt:
    dq 0
CODE_SELECTOR equ $ - gdt
    dq 0x00209b0000000000
DATA_SELECTOR equ $ - gdt
    dq 0x0000930000000000
gdt_end:
gdt_low_pointer:
    dw gdt_end - gdt - 1
    dd PHYSICAL(gdt)
align 8
gdt_high_pointer:
    dw gdt_end - gdt - 1
    dq gdt
align 8
no_gates:
    dw 0
    dq 0

section .bss.init nobits alloc noexec write align=4096
LOW_TABLES   equ 2                  ; 4 MiB: linker.ld asserts that code and constants end before
IMAGE_TABLES equ 4                  ; 8 MiB from physical 0: linker.ld asserts that the image ends before
pml4:        resb 4096
pdpt_low:    resb 4096
pd_low:      resb 4 * 4096
pt_low:      resb LOW_TABLES * 4096
pdpt_image:  resb 4096
pd_image:    resb 4096
pt_image:    resb IMAGE_TABLES * 4096
pdpt_window: resb 4096
global pd_window
pd_window:   resb 4096
nx_high:     resd 1
serial_patience: resd 1
protocol:    resd 1                 ; the loader's magic, 0 for PVH
alignb 8
entry_tsc:   resq 1
alignb 16
low_stack:   resb 512
low_stack_top:
