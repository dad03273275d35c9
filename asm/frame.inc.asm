; Included by trap.asm and user.asm: `TrapFrame` of src/hw/trap.rs, and what they find through GS, `PerCpu` of src/hw/percpu.rs.

FRAME_VECTOR equ 15 * 8
FRAME_RIP    equ 17 * 8
FRAME_CS     equ 18 * 8
FRAME_RSP    equ 20 * 8
FRAME_BYTES  equ 22 * 8

KERNEL_RSP   equ 8
FRAME_END    equ 16
USER_RSP     equ 24

USER_DATA    equ 0x18 | 3           ; src/hw/gdt.rs
USER_CODE    equ 0x20 | 3
SYSTEM_CALL  equ 256                ; stands for a vector in the frame of a system call

%macro SAVE_REGISTERS 0
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
%endmacro

%macro RESTORE_REGISTERS 0
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
%endmacro
