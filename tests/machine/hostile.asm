; A hostile BIOS, for tests: a boot sector that stands before the raw image on the same disk, puts itself between the image and the
; BIOS, and starts the image as the worst of BIOSes would. What it does wrong is chosen by defines; harness/hostile.rs has the list.
;
; It lies at 9000:0000, above what INT 12h then calls conventional memory. Words at 9000:0010 count what it has done:
; reads refused, reads made, memory map entries told, A20 gates closed.

        cpu 386
        bits 16
SECTORS equ 16                          ; of the image before the image
PLACE equ 9000h

        org 0
        jmp start
        times 10h - ($ - $$) db 0
refused: dw 0
made:    dw 0
told:    dw 0
closed:  dw 0

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
%ifdef PARAMETER_BLOCK
        xor ax, ax
        mov es, ax
        mov di, 7C03h
        mov cx, 57h
        mov al, 0FFh
        rep stosb
%endif
        mov dl, [drive]
%ifdef WRONG_DRIVE
        mov dl, WRONG_DRIVE
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
%ifdef ODD_STACK
        mov sp, 6FF7h
%endif
%ifdef TRASH
        std
%endif
%ifdef WRONG_PLACE
        jmp 7C0h:0
%else
        jmp 0:7C00h
%endif

close_a20:
%ifdef A20
        push ax
        in al, 92h
        and al, 0FCh                    ; the gate, and no reset
        out 92h, al
        pop ax
        inc word [cs:closed]
%endif
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
%ifdef NO_EXTENSIONS
        mov ah, 1
        stc
        jmp finish
%else
        jmp .others
%endif
.extended_read:
%ifdef NO_EXTENSIONS
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
%ifdef TRASH
        or word [bp + 6], 400h          ; direction flag set
        and word [bp + 6], 0FDFFh       ; interrupts off
%endif
        pop ax
        pop bp
        call close_a20
%ifdef TRASH
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
%ifdef ODD_READS
        inc word [parity]
        test byte [parity], 1
        jz .may
        inc word [refused]
        mov ah, 4
        stc
        ret
.may:
%endif
        push eax
        movzx eax, word [count]
        cmp eax, 127
        ja .bad
        shl eax, 9
        push ecx
        movzx ecx, word [address + 2]
        shl ecx, 4
        push edx
        movzx edx, word [address]
        add ecx, edx
        pop edx
        add eax, ecx
        dec eax
        xor eax, ecx
        pop ecx
        shr eax, 16
        jnz .bad
        pop eax
        jmp read
.bad:   pop eax
        inc word [refused]
        mov ah, 9
        stc
        ret

; Reads [count] sectors from [lba] to [address] by the BIOS. DS is CS. Changes AX.
read:   inc word [made]
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
%ifdef A20
        cmp ax, 2401h
        je .unknown
%endif
%ifdef MAP_NONE
        cmp ax, 0E820h
        je .unknown
        cmp ax, 0E881h
        je .unknown
%ifdef MAP_OLDEST
        cmp ax, 0E801h
        je .unknown
%endif
%elifdef MAP
        cmp ax, 0E820h
        je .map
%endif
        pushf
        call far [cs:old_15]
        mov byte [cs:saved_ax + 1], 8
        jmp finish
.unknown:
        mov ah, 86h
        stc
        mov byte [cs:saved_ax + 1], 8
        jmp finish
%ifdef MAP
.map:   ; EBX: how many entries have been told
        push esi
        push ds
        push cs
        pop ds
        inc word [told]
        movzx esi, bx
%ifdef MAP_ENDLESS
        and esi, 7
%else
        cmp esi, ENTRIES
        jae .past_the_end
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
%ifndef MAP_ENDLESS
%ifndef MAP_ENDS_BY_CARRY
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
%ifndef MAP_ENDLESS
.past_the_end:
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
ENTRIES equ ($ - map) / 20
%endif

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
