; How the other processors come from their power-on state to Rust's `smp_main(slot)`.
;
; A startup IPI (SDM volume 3 section 11.4.4) lets them run the trampoline in real mode, at the start of a page below 1 MiB to
; which src/hw/smp.rs has copied it and whose parameters it has filled in. The page is mapped executable and not writable, at
; its own address, in page tables made for this; all that the processors write lies in the kernel's data. They may all come at
; once: each takes one slot out of the table, for good, by an exchange. Who finds none left, because it came when nobody waited
; any more, halts.

extern smp_main
global smp_entry:function
global smp_trampoline
global smp_trampoline_end
global smp_parameters
global smp_slots

%define OFFSET(label) ((label) - smp_trampoline)

CODE_SELECTOR equ 8
DATA_SELECTOR equ 16
SLOTS equ 256                       ; `MAX_CPUS` of src/hw/percpu.rs

section .rodata progbits alloc noexec nowrite align=16
bits 16
smp_trampoline:
    cli
    cld
    mov ax, cs
    mov ds, ax
    o32 lgdt [OFFSET(parameter_gdt)]
    mov eax, 1 << 5                 ; CR4: PAE
    mov cr4, eax
    mov eax, [OFFSET(parameter_tables)]
    mov cr3, eax
    mov ecx, 0xc0000080             ; EFER: long mode, NX as on the boot processor
    mov eax, [OFFSET(parameter_efer)]
    xor edx, edx
    wrmsr
    mov eax, 0x80010033             ; CR0: PG, WP, NE, ET, MP, PE; caches on
    mov cr0, eax
    jmp far dword [OFFSET(parameter_entry)]

bits 64
trampoline_long:
    mov rax, smp_entry
    jmp rax

align 8
; Accessed bits are set: the CPU would write them into this read-only page otherwise.
trampoline_gdt:
    dq 0
    dq 0x00209b0000000000
    dq 0x0000930000000000
trampoline_gdt_end:

; `Parameters` of src/hw/smp.rs.
align 8
smp_parameters:
parameter_tables:   dd 0
parameter_efer:     dd 0
parameter_entry:    dd OFFSET(trampoline_long)      ; plus the page's address
                    dw CODE_SELECTOR
parameter_gdt:      dw trampoline_gdt_end - trampoline_gdt - 1
                    dd OFFSET(trampoline_gdt)       ; plus the page's address
smp_trampoline_end:

section .text progbits alloc exec nowrite align=16
bits 64
smp_entry:
    mov eax, DATA_SELECTOR
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lea rdx, [rel smp_slots]
    lea rcx, [rdx + SLOTS * 8]
.next:
    cmp qword [rdx], 0              ; spares the bus most of the exchanges
    je .taken
    xor edi, edi
    xchg [rdx], rdi
    test rdi, rdi
    jnz .found
.taken:
    add rdx, 8
    cmp rdx, rcx
    jb .next
    jmp .surplus
.found:
    mov rsp, [rdi]                  ; the first word of `Slot`
    xor ebp, ebp                    ; ends the chain of frame pointers
    call smp_main
.surplus:
    cli
    hlt
    jmp .surplus

section .bss nobits alloc noexec write align=8
smp_slots:      resq SLOTS          ; addresses of slots that wait for a processor, 0 where there is none
