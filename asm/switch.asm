; From one kernel stack to another: saves what a function call must preserve, and calls or returns into the other side.
;
; switch_stacks(from: *mut Saved, to: *const Saved), Saved { rsp: u64, running: u32 } of src/hw/context.rs; interrupts are off.
; A stack that has never run has what `context_start` wants in the place of the saved registers.

global switch_stacks:function
global context_start:function

section .text progbits alloc exec nowrite align=16
bits 64

switch_stacks:
    push rbp
    mov rbp, rsp                    ; a frame like any other, for backtraces of stacks that do not run
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, [rsi]
    mov dword [rdi + 8], 0          ; from here on another processor may run what was left
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

; The first thing that a new stack runs: R12 is the function, R13 its argument; it does not return.
context_start:
    xor ebp, ebp                    ; ends the chain of frame pointers
    mov rdi, r13
    call r12
    ud2
