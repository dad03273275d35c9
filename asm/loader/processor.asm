; The processor and the A20 gate: what the kernel cannot do without.
;
; Invariant: after `open_a20` address bit 20 has been seen to reach memory, not merely been asked to.

check_processor:
        cmp byte [has_cpuid], 0
        je .refuse
        mov eax, 80000000h              ; highest extended leaf
        cpuid
        cmp eax, 80000001h
        jb .refuse
        mov eax, 80000001h
        cpuid
        bt edx, 29                      ; long mode (SDM 2, CPUID; APM 3, E.4.2)
        jnc .refuse
        ret
.refuse:
        call fail
        db 'E20 Eres needs a 64-bit CPU', 0

; Opens the gate by the gentlest means that works, and looks after each of them.
open_a20:
        call a20_is_open
        je .return
        mov eax, 2401h                  ; the BIOS knows its own machine best
        bios 15h
        call a20_is_open
        je .return
        in al, 92h                      ; system control port A: bit 1 is A20, bit 0 resets the machine
        test al, 2
        jnz .keyboard_controller
        or al, 2
        and al, 0FEh
        out 92h, al
        call a20_is_open
        je .return
.keyboard_controller:
        mov bl, 0ADh                    ; keyboard off, so that no key lands in the answer,
        call keyboard_controller_command
        call keyboard_controller_ready
        in al, 60h                      ; and one that has landed already is dropped
        mov bl, 0D0h                    ; read the output port
        call keyboard_controller_command
        mov dl, 1
        mov dh, 1
        call keyboard_controller_wait
        in al, 60h
        or al, 3                        ; bit 1 is the gate; a 0 in bit 0 would reset the machine
        mov bh, al
        mov bl, 0D1h                    ; write the output port
        call keyboard_controller_command
        call keyboard_controller_ready
        mov al, bh
        out 60h, al
        mov bl, 0AEh                    ; keyboard on
        call keyboard_controller_command
        call keyboard_controller_ready
        call a20_is_open
        je .return
        call fail
        db 'E21 A20 gate stays closed', 0
.return:
        ret

keyboard_controller_command:
        call keyboard_controller_ready
        mov al, bl
        out 64h, al
        ret

; Until the controller takes a byte: status bit 1 clear.
keyboard_controller_ready:
        mov dl, 2
        mov dh, 0
; Until the status bits DL read as DH says (0: clear, else set), or 65536 looks have passed.
keyboard_controller_wait:
        mov ecx, 65536
.look:
        in al, 64h
        and al, dl
        cmp al, dh
        loopne .look
        ret

; ZF: open. With the gate closed an address and the one 1 MiB above it are the same byte. Each look writes the upper
; one with the complement of the lower one and watches the lower one; a slow gate gets 256 looks of about 1 µs.
a20_is_open:
        mov ecx, 256
.look:
        mov eax, [A20_PROBE + 100000h]
        mov edx, [A20_PROBE]
        mov edi, edx
        not edx
        mov [A20_PROBE + 100000h], edx
        out 80h, al                     ; a diagnostic port that nobody listens to: time for the write to land
        cmp edi, [A20_PROBE]
        mov [A20_PROBE + 100000h], eax  ; closed: this puts back the lower one, whose old value EAX is then
        loopne .look
        ret

A20_PROBE       equ MEMORY_MAP - 4
