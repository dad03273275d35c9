; One stub for each of the 32 exception vectors, and the common path into Rust's `trap_entry(&TrapFrame) -> !`.
;
; The stubs make all frames alike (vector, error code, then what the CPU pushed) and save every general register; the
; layout is `TrapFrame` in src/hw/trap.rs. Exceptions are final for now, so nothing is restored.
; Two words that look like a function's frame are pushed below, so that backtraces run on into the interrupted code.

extern trap_entry
global trap_stubs
global trap_return

EXCEPTIONS equ 32
FRAME_RIP  equ 17 * 8               ; of TrapFrame

section .text progbits alloc exec nowrite align=16
bits 64

; Vectors for which the CPU itself pushes an error code: SDM volume 3 table 7-1, AMD APM volume 2 table 8-1 (29, 30).
%macro STUB 1
stub_%1:
%if %1 != 8 && (%1 < 10 || %1 > 14) && %1 != 17 && %1 != 21 && %1 != 29 && %1 != 30
    push 0
%endif
    push %1
    jmp save_and_call
%endmacro

%assign vector 0
%rep EXCEPTIONS
    STUB vector
%assign vector vector + 1
%endrep

global save_and_call:function
save_and_call:
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
    cld
    mov rdi, rsp
    push qword [rdi + FRAME_RIP]
    push rbp
    mov rbp, rsp
    and rsp, -16
    call trap_entry
trap_return:
    ud2

section .rodata progbits alloc noexec nowrite align=8
trap_stubs:
%assign vector 0
%rep EXCEPTIONS
    dq stub_ %+ vector
%assign vector vector + 1
%endrep
