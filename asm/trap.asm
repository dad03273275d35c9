; One stub for each of the 256 vectors, and the common path into Rust's `trap(&mut TrapFrame)` and back.
;
; The stubs make all frames alike (vector, error code, then what the CPU pushed) and save every general register; the
; layout is `TrapFrame` in src/hw/trap.rs. What Rust changes in the frame is what the interrupted code continues with.
; A pair of words that looks like a function's frame is pushed below, so that backtraces run on into the interrupted code.
; What interrupts a program ends the call of `enter_user` (user.asm) that it runs by, unless it must be seen to at once.

%include "frame.inc.asm"

extern trap
global trap_stubs
global trap_return
global leave_user

VECTORS     equ 256
STUB_BYTES  equ 16                  ; src/hw/trap.rs computes a stub's address with it

; Vectors with a stack of their own, which come whatever the processor does: debug, NMI, double fault, machine check.
DEBUG       equ 1
ANYWHERE    equ 1 << DEBUG | 1 << 2 | 1 << 8 | 1 << 18

GS_BASE     equ 0xc0000101          ; IA32_GS_BASE
CLEAN_FLAGS equ 2                   ; bit 1 is always set; all others clear: direction, alignment check (which lifts SMAP)

section .text progbits alloc exec nowrite align=16
bits 64

; Vectors for which the CPU itself pushes an error code: SDM volume 3 table 7-1, AMD APM volume 2 table 8-1 (29, 30).
%macro STUB 1
align STUB_BYTES
%if %1 != 8 && (%1 < 10 || %1 > 14) && %1 != 17 && %1 != 21 && %1 != 29 && %1 != 30
    push 0
%endif
    push %1
    jmp save_and_call
%endmacro

align STUB_BYTES
trap_stubs:
%assign vector 0
%rep VECTORS
    STUB vector
%assign vector vector + 1
%endrep

global save_and_call:function
align 16
save_and_call:
    SAVE_REGISTERS                  ; of a program: to the very start of its frame, below which nothing may be pushed
    xor r12d, r12d                  ; whether GS is to be the program's again
    mov eax, [rsp + FRAME_VECTOR]
    test byte [rsp + FRAME_CS], 3
    jnz .of_program
    cmp eax, 31
    ja .of_kernel
    mov ecx, ANYWHERE
    bt ecx, eax
    jnc .of_kernel
    ; The kernel may just have come from the program, or be about to go there, with GS the program's, whose base is never the
    ; kernel's half.
    mov ecx, GS_BASE
    rdmsr
    test edx, edx
    js .of_kernel
    swapgs
    inc r12d
    jmp .of_kernel

.of_program:
    swapgs
    cmp eax, 31
    ja leave_user
    mov ecx, ANYWHERE
    bt ecx, eax
    jnc leave_user
    cmp eax, DEBUG
    je .move_frame
    inc r12d
.of_kernel:
    push CLEAN_FLAGS
    popfq
    mov rdi, rsp
    mov rbx, rsp                    ; preserved by the call, as R12 is
    push qword [rdi + FRAME_RIP]
    push rbp
    mov rbp, rsp
    and rsp, -16
    call trap
trap_return:
    mov rsp, rbx
    test r12d, r12d
    jz .restore
    swapgs
.restore:
    RESTORE_REGISTERS
    add rsp, 16                     ; vector, error code
    iretq

; A program's debug exception is like any other of its exceptions, but for the stack that it came on.
save_and_call.move_frame:
    mov rsi, rsp
    mov rdi, gs:[FRAME_END]
    sub rdi, FRAME_BYTES
    mov ecx, FRAME_BYTES / 8
    cld
    rep movsq
    ; falls through

; The program's frame is complete: `enter_user` (user.asm) returns.
leave_user:
    mov rsp, gs:[KERNEL_RSP]
    push CLEAN_FLAGS
    popfq
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
