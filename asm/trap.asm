; One stub for each of the 256 vectors, and the common path into Rust's `trap(&mut TrapFrame)` and back.
;
; The stubs make all frames alike (vector, error code, then what the CPU pushed) and save every general register; the
; layout is `TrapFrame` in src/hw/trap.rs. What Rust changes in the frame is what the interrupted code continues with.
; A pair of words that looks like a function's frame is pushed below, so that backtraces run on into the interrupted code.

extern trap
global trap_stubs
global trap_return

VECTORS     equ 256
STUB_BYTES  equ 16                  ; src/hw/trap.rs computes a stub's address with it
FRAME_RIP   equ 17 * 8              ; of TrapFrame

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
    mov rbx, rsp                    ; preserved by the call
    push qword [rdi + FRAME_RIP]
    push rbp
    mov rbp, rsp
    and rsp, -16
    call trap
trap_return:
    mov rsp, rbx
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
    add rsp, 16                     ; vector, error code
    iretq
