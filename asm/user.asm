; Into user mode and back, as a call: `enter_user` returns when the program has trapped, with its registers in its frame.
;
; Src/hw/user.rs has the frame, a `TrapFrame` (src/hw/trap.rs) in which the processor itself and the stubs of trap.asm store:
; RSP0 and gs:[FRAME_END] are its end. The stack that `enter_user` was called on is gs:[KERNEL_RSP] meanwhile.

%include "frame.inc.asm"

extern leave_user
global enter_user:function
global system_call_entry:function

section .text progbits alloc exec nowrite align=16
bits 64

; enter_user(frame: *mut TrapFrame, by_sysret: u64), interrupts off. By SYSRET: RCX is RIP and R11 is RFLAGS, as after SYSCALL.
align 16
enter_user:
    push rbp
    mov rbp, rsp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov gs:[KERNEL_RSP], rsp
    lea rax, [rdi + FRAME_BYTES]
    mov gs:[FRAME_END], rax
    mov rsp, rdi
    test rsi, rsi
    jnz .by_sysret
    RESTORE_REGISTERS
    add rsp, 16                     ; vector, error code
    swapgs
    iretq
.by_sysret:
    RESTORE_REGISTERS
    mov rsp, [rsp + FRAME_RSP - FRAME_VECTOR]
    ; From here until SYSRET the stack is the program's: only interrupts with stacks of their own can come.
    swapgs
    o64 sysret

; Where SYSCALL leads: interrupts are off by IA32_FMASK, RIP is in RCX and RFLAGS in R11 (SDM volume 2, SYSCALL).
align 16
system_call_entry:
    swapgs
    mov gs:[USER_RSP], rsp
    mov rsp, gs:[FRAME_END]
    push USER_DATA
    push qword gs:[USER_RSP]
    push r11
    push USER_CODE
    push rcx
    push 0
    push SYSTEM_CALL
    SAVE_REGISTERS
    jmp leave_user
