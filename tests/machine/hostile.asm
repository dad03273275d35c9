; A hostile BIOS, for tests: a boot sector that stands before the raw image on the same disk, puts itself between the image and the
; BIOS, and starts the image as the worst of BIOSes would. What it does wrong is chosen by defines: WITH_ and a name of the list at
; the end. GIVEN is how many there are, so that one with a slip in it is an error and not a BIOS without fault.
;
; It lies at 9000:0000, above what INT 12h then calls conventional memory. When a fault acts for the first time, its name goes to the
; debug console (port E9h of QEMU and Bochs): a fault of which nothing is heard has not been tried.

        cpu 386
        bits 16
SECTORS equ 16                          ; of the image before the image
PLACE equ 9000h

; acts NAME: the fault has just acted.
%macro acts 1
        push %1
        call act
%endmacro

        org 0
start:  cli
        cld
        xor ax, ax
        mov ss, ax
        mov sp, 7000h
        mov ds, ax
        sti
        mov [7B00h], dl
        ; The rest of this, and this, to where it stays.
        mov si, packet - $$ + 7C00h
        mov ah, 42h
        int 13h
        jc $
        jmp PLACE:here
packet: dw 16, SECTORS, 0, PLACE
        dq 0
        times 510 - ($ - $$) db 0
        dw 0AA55h
here:   mov ax, cs
        mov ds, ax
        mov es, ax
        xor ax, ax
        mov fs, ax
        mov al, [fs:7B00h]
        mov [drive], al
        mov word [fs:413h], PLACE / 64    ; KiB of conventional memory
        mov ah, 8
        mov dl, [drive]
        xor di, di
        push es
        int 13h
        pop es
        and cx, 3Fh
        mov [track], cx
        movzx dx, dh
        inc dx
        mov [heads], dx
        mov eax, [fs:13h * 4]
        mov [old_13], eax
        mov word [fs:13h * 4], disk
        mov [fs:13h * 4 + 2], cs
        mov eax, [fs:15h * 4]
        mov [old_15], eax
        mov word [fs:15h * 4], system
        mov [fs:15h * 4 + 2], cs
        ; The image's first sector.
        mov dword [address], 7C00h
        mov word [count], 1
        mov dword [lba], SECTORS
        call read
        jc $
        call try_long_reads
%ifdef WITH_PARAMETER_BLOCK
        xor ax, ax
        mov es, ax
        mov di, 7C03h
        mov cx, 57h
        mov al, 0FFh
        rep stosb
        acts PARAMETER_BLOCK
%endif
        mov dl, [drive]
%ifdef WITH_WRONG_DRIVE
        mov dl, WITH_WRONG_DRIVE
        acts WRONG_DRIVE
%endif
        call close_a20
        mov ax, 0AAAAh
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov eax, 55AA55AAh
        mov ebx, eax
        mov ecx, eax
        mov esi, eax
        mov edi, eax
        mov ebp, eax
%ifdef WITH_ODD_STACK
        mov sp, 6FF7h
        acts ODD_STACK
%endif
%ifdef WITH_TRASH
        std
%endif
%ifdef WITH_WRONG_SEGMENT
        acts WRONG_SEGMENT
        jmp 7C0h:0
%else
        jmp 0:7C00h
%endif

close_a20:
%ifdef WITH_A20
        push ax
        push ds
        push fs
        in al, 92h
        and al, 0FCh                    ; the gate, and no reset
        out 92h, al
        xor ax, ax                      ; closed, what is 1 MiB above an address is at the address itself
        mov ds, ax
        dec ax
        mov fs, ax
        mov ax, [7B02h]
        not word [fs:7B12h]
        cmp ax, [7B02h]
        not word [fs:7B12h]
        je .open
        acts A20
.open:
        pop fs
        pop ds
        pop ax
%endif
        ret

; The fault described where the word on the stack says has acted. Keeps registers and flags.
act:    pushf
        push bp
        mov bp, sp
        push ax
        push si
        mov si, [bp + 6]
        cmp byte [cs:si], 0
        jne .told
        inc byte [cs:si]
.next:  inc si
        mov al, [cs:si]
        out 0E9h, al
        cmp al, 10
        jne .next
.told:  pop si
        pop ax
        pop bp
        popf
        ret 2

; Reads that some BIOSes refuse, and this one always: of more than 127 sectors, and across 64 KiB. Says whether it does.
try_long_reads:
        mov word [count], 128
        mov dword [address], 10000000h
        call refusal
        jnc .return
        mov word [count], 2
        mov dword [address], 1000FF00h
        call refusal
        jnc .return
        acts REFUSES_LONG_READS
.return:
        ret

; ---- INT 13h ----
disk:   cmp dl, [cs:drive]
        jne .others
        push ds
        push cs
        pop ds
        mov [saved_ax], ax
        cmp ah, 41h
        je .extensions
        cmp ah, 42h
        je .extended_read
        cmp ah, 2
        je .read
        pop ds
.others:
        pushf
        call far [cs:old_13]
        jmp finish
.extensions:
        pop ds
%ifdef WITH_NO_EXTENSIONS
        acts NO_EXTENSIONS
        mov ah, 1
        stc
        jmp finish
%else
        jmp .others
%endif
.extended_read:
%ifdef WITH_NO_EXTENSIONS
        pop ds
        mov ah, 1
        stc
        jmp finish
%else
        pop ds
        push ds
        push eax
        mov ax, [si + 2]
        mov [cs:count], ax
        mov eax, [si + 4]
        mov [cs:address], eax
        mov eax, [si + 8]
        add eax, SECTORS
        mov [cs:lba], eax
        pop eax
        push cs
        pop ds
        call checked_read
        pop ds
        jmp finish
%endif
.read:  ; AL sectors of cylinder CH, head DH, sector CL to ES:BX
        push eax
        push edx
        push ecx
        movzx ax, al
        mov [count], ax
        mov [address], bx
        mov [address + 2], es
        mov ax, cx
        xchg al, ah
        shr ah, 6                       ; the cylinder
        movzx eax, ax
        movzx ecx, word [heads]
        push edx
        mul ecx
        pop edx
        movzx ecx, dh
        add eax, ecx
        movzx ecx, word [track]
        mul ecx
        pop ecx
        push ecx
        and ecx, 3Fh
        dec ecx
        add eax, ecx
        add eax, SECTORS
        mov [lba], eax
        pop ecx
        pop edx
        pop eax
        call checked_read
        pop ds
        ; falls through

; Back to the caller with the carry and AH as they are now, and as little else as it may rely on.
finish: push bp
        mov bp, sp
        push ax
        lahf
        and byte [bp + 6], 0FEh         ; IP, CS, flags
        and ah, 1
        or [bp + 6], ah
%ifdef WITH_TRASH
        or word [bp + 6], 400h          ; direction flag set
        and word [bp + 6], 0FDFFh       ; interrupts off
%endif
        pop ax
        pop bp
        call close_a20
%ifdef WITH_TRASH
        acts TRASH
        mov esi, 0DEADBEEFh
        mov ebp, esi
        push ax
        mov ax, 0BAD0h
        mov ds, ax
        mov gs, ax
        mov fs, ax
        pop ax
        cmp byte [cs:saved_ax + 1], 8   ; the drive's parameters come in the others
        je .outputs
        cmp byte [cs:saved_ax + 1], 41h
        je .outputs
        mov ebx, esi
        mov ecx, esi
        mov edx, esi
        mov edi, esi
        push si
        pop es
.outputs:
%endif
        iret

checked_read:
%ifdef WITH_ODD_READS
        inc word [parity]
        test byte [parity], 1
        jz .may
        acts ODD_READS
        mov ah, 4
        stc
        ret
.may:
%endif
        call refusal
        jnc read
        acts ASKED_FOR_LONG_READS
        mov ah, 9
        stc
        ret

; Carry: [count] sectors to [address] are too many or cross 64 KiB.
refusal:
        push ax
        push cx
        mov ax, [count]
        cmp ax, 128
        cmc
        jc .return
        shl ax, 9
        dec ax                          ; from the first byte to the last
        mov cx, [address + 2]
        shl cx, 4
        add cx, [address]               ; the place of the first in its 64 KiB
        add ax, cx
.return:
        pop cx
        pop ax
        ret

; Reads [count] sectors from [lba] to [address] by the BIOS. DS is CS. Changes AX.
read:   acts READS
        pushad
        push ds
        push es
        mov si, own_packet
        mov ah, 42h
        mov dl, [drive]
        pushf
        call far [old_13]
        pop es
        pop ds
        popad
        mov ah, 0
        jnc .return
        mov ah, 20h
.return:
        ret

; ---- INT 15h ----
system:
%ifdef WITH_A20
        cmp ax, 2401h
        je .unknown
%endif
%ifdef WITH_MAP_NONE
        cmp ax, 0E820h
        je .no_map
        cmp ax, 0E881h
        je .unknown
%ifdef WITH_MAP_OLDEST
        cmp ax, 0E801h
        je .older_call
%endif
%elifdef WITH_MAP
        cmp ax, 0E820h
        je .map
%endif
        pushf
        call far [cs:old_15]
        mov byte [cs:saved_ax + 1], 8
        jmp finish
%ifdef WITH_MAP_OLDEST
.older_call:
        acts MAP_OLDEST
        jmp .unknown
%endif
%ifdef WITH_MAP_NONE
.no_map:
        acts MAP_NONE
%endif
.unknown:
        mov ah, 86h
        stc
        mov byte [cs:saved_ax + 1], 8
        jmp finish
%ifdef WITH_MAP
.map:   ; EBX: how many entries have been told
        push esi
        push ds
        push cs
        pop ds
        acts MAP
        movzx esi, bx
%ifdef WITH_MAP_ENDLESS
        cmp esi, ENTRIES
        jb .known
        acts MAP_ENDLESS
.known: and esi, 7
%else
        cmp esi, ENTRIES
        jae .past_the_end
%endif
%ifdef WITH_MAP_RESERVES_KERNEL
        cmp esi, ENTRIES - 1
        jne .not_last
        acts MAP_RESERVES_KERNEL
.not_last:
%endif
        imul esi, 20
        push ecx
        push edi
        add si, map
        mov cx, 10
        cld
        rep movsw
        pop edi
        pop ecx
        pop ds
        pop esi
        inc ebx
%ifndef WITH_MAP_ENDLESS
%ifndef WITH_MAP_ENDS_BY_CARRY
        cmp bx, ENTRIES
        jb .more
        xor ebx, ebx
.more:
%endif
%endif
        mov eax, 534D4150h
        mov ecx, 20                     ; whatever was asked for
        mov byte [cs:saved_ax + 1], 8
        clc
        jmp finish
%ifndef WITH_MAP_ENDLESS
.past_the_end:
%ifdef WITH_MAP_ENDS_BY_CARRY
        acts MAP_ENDS_BY_CARRY
%endif
        pop ds
        pop esi
        mov byte [cs:saved_ax + 1], 8
        stc
        jmp finish
%endif

%macro piece 3                          ; start, end, type
        dq %1
        dq (%2) - (%1)
        dd %3
%endmacro
%ifdef WITH_MAP_RESERVES_KERNEL
; 128 MiB as QEMU has them, and a page of them reserved.
map:    piece 0, 9FC00h, 1
        piece 9FC00h, 0A0000h, 2
        piece 0F0000h, 100000h, 2
        piece 100000h, WITH_MAP_RESERVES_KERNEL, 1
        piece WITH_MAP_RESERVES_KERNEL + 1000h, 7FE0000h, 1
        piece 7FE0000h, 8000000h, 2
        piece 0FFFC0000h, 100000000h, 2
        piece WITH_MAP_RESERVES_KERNEL, WITH_MAP_RESERVES_KERNEL + 1000h, 2
%else
; 128 MiB as QEMU has them, in 49 pieces that are not sorted, overlap, or have no bytes at all.
map:    piece 0FFFC0000h, 100000000h, 2
        piece 4000000h, 7FE0000h, 1
        piece 7FE0000h, 8000000h, 2
        piece 9FC00h, 0A0000h, 2
        piece 100000h, 100000h, 1
        piece 5000000h, 5000000h, 2
%assign start 10
%rep 21
        piece start * 200000h + 100000h, start * 200000h + 400000h, 1
%assign start start + 1
%endrep
        piece 0F0000h, 100000h, 2
%assign start 11
%rep 11
        piece start * 200000h - 200000h + 0FFF00h, start * 200000h + 180000h, 1
%assign start start - 1
%endrep
        piece 0, 9FC00h, 1
        piece 0, 50000h, 1
        piece 60000h, 9FC00h, 1
%assign start 1
%rep 7
        piece start * 80000h + 80000h, start * 80000h + 180000h, 1
%assign start start + 1
%endrep
%endif
ENTRIES equ ($ - map) / 20
%endif

; ---- What can be wrong. For each: whether it has acted, and what the debug console is told. ----

%assign known 0
%macro fault 1
%defstr fault_name %1
%1:     db 0, 'fault ', fault_name, 10
%ifdef WITH_%1
%assign known known + 1
%endif
%endmacro
        fault PARAMETER_BLOCK           ; FFh all over the parameter block
        fault WRONG_SEGMENT             ; started at 07C0:0000
        fault WRONG_DRIVE               ; with this in DL
        fault ODD_STACK                 ; with the stack at an odd address
        fault NO_EXTENSIONS             ; INT 13h AH=41h and 42h are unknown
        fault TRASH                     ; every call spoils what it may and what it may not
        fault ODD_READS                 ; the first, third, fifth … read fails
        fault A20                       ; every call closes the gate, and the BIOS cannot open it
        fault MAP                       ; the memory map is in pieces, unsorted, overlapping, of 20 bytes each
        fault MAP_ENDS_BY_CARRY         ; and ends by an error, not by EBX = 0
        fault MAP_ENDLESS               ; and does not end
        fault MAP_RESERVES_KERNEL       ; and is in order, but has the page at this address as reserved
        fault MAP_NONE                  ; E820h and E881h are unknown
        fault MAP_OLDEST                ; and so is E801h
%if known != GIVEN
%error "there is a fault that is not in the list"
%endif
; What is so with every fault, or with none.
        fault READS
        fault REFUSES_LONG_READS
        fault ASKED_FOR_LONG_READS

        align 4
old_13: dd 0
old_15: dd 0
own_packet:
        dw 16
count:  dw 0
address: dd 0
lba:    dd 0, 0
track:  dw 0
heads:  dw 0
saved_ax: dw 0
parity: dw 0
drive:  db 0

%if $ - $$ > SECTORS * 512
%error "the hostile BIOS is too long"
%endif
        times SECTORS * 512 - ($ - $$) db 0
