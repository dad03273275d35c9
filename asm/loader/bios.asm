; BIOS calls from protected mode, and the way every failure is reported.
;
; `bios` is the only door to real mode. Invariant: a BIOS call may change the general registers it documents and any it
; does not; segments, EBP, ESP, the direction flag, the GDT register and protection itself come back as they were.

; bios VECTOR: the interrupt with EAX, EBX, ECX, EDX, ESI and EDI as they are now; the same registers and the carry flag
; as the BIOS leaves them. EBP is kept. DS is 0 and ES is [bios_es].
%macro bios 1
        call call_bios
        db %1
%endmacro

call_bios:
        mov [.eax], eax
        mov [.ebp], ebp
        pop ebp                         ; the vector number lies after the call
        movzx eax, byte [ebp]
        mov eax, [eax * 4]              ; the handler, segment and offset
        mov [.handler], eax
        inc ebp
        push ebp
        mov [.esp], esp
        jmp CODE16:.leave_protection
        bits 16
.leave_protection:
        mov ax, DATA16                  ; real mode keeps the limits that were loaded last: 64 KiB
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, cr0
        and al, ~1
        mov cr0, eax
        jmp 0:.real_mode
.real_mode:
        xor ax, ax
        mov ds, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov es, [bios_es]
        mov eax, [.eax]
        stc                             ; what a BIOS does not know, some just return from
        sti
        pushf                           ; what INT does (SDM 2), whose operand cannot vary
        cli
        call far [.handler]
        pushf
        cli
        cld
        push 0
        pop ds
        mov [.eax], eax
        pop ax
        mov [.flags], ax
        o32 lgdt [gdt_register]         ; a BIOS that visits protected mode leaves its own
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE32:.return_to_protection
        bits 32
.return_to_protection:
        mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, [.esp]
        mov ebp, [.ebp]
        mov eax, [.eax]
        bt word [.flags], 0             ; carry
        ret

section .bss
        alignb 4
call_bios.eax:     resd 1
call_bios.ebp:     resd 1
call_bios.esp:     resd 1
call_bios.handler: resd 1
call_bios.flags:   resw 1
bios_es:           resw 1
section .text

; Prints the NUL-terminated text after the call and stops for ever: power off and reset stay with the user.
fail:
        pop esi
        call start_message
        call print

; Ends a message with the line's end and stops.
stop:
        mov esi, .line_end
        call print
.halt:
        cli
        hlt
        jmp .halt
.line_end:
        db 13, 10, 0

COM1            equ 3F8h

; Puts COM1 to 115200 baud, 8 data bits, no parity, 1 stop bit, and starts a new line on the screen.
start_message:
        push esi
        mov esi, .registers
.next:
        lodsw
        mov dl, al
        mov dh, COM1 >> 8
        mov al, ah
        out dx, al
        cmp esi, .registers_end
        jb .next
        mov al, 13
        call print_on_screen
        mov al, 10
        call print_on_screen
        pop esi
        ret
.registers:                             ; (register, value): divisor latch open, 1, 0, latch closed and 8N1, no
        db 0FBh, 80h, 0F8h, 1, 0F9h, 0, 0FBh, 3, 0F9h, 0, 0FCh, 3 ; interrupts, DTR and RTS
.registers_end:

; Prints the NUL-terminated text at ESI on the screen and on COM1.
print:
        lodsb
        test al, al
        jz .return
        call print_character
        jmp print
.return:
        ret

; Prints AL; keeps every register. The port is looked at 65536 times at most: an absent or stuck one cannot hang us.
print_character:
        pushad
        mov ah, al
        mov ecx, 65536
        mov dx, COM1 + 5
.wait:
        in al, dx
        test al, 20h                    ; transmitter empty
        loopz .wait
        mov al, ah
        mov dx, COM1
        out dx, al
        call print_on_screen
        popad
        ret

; Prints AL by the BIOS's teletype; keeps every register.
print_on_screen:
        pushad
        mov ah, 0Eh
        mov ebx, 7
        bios 10h
        popad
        ret

; Prints EAX in decimal.
print_number:
        mov ebx, 10
        xor ecx, ecx
.divide:
        xor edx, edx
        div ebx
        push edx
        inc ecx
        test eax, eax
        jnz .divide
.digit:
        pop eax
        add al, '0'
        call print_character
        loop .digit
        ret
