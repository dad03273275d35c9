; Disk reads: by the INT 13h extensions where the BIOS has them, else by cylinder, head and sector.
;
; Invariants: no call asks for more than 64 sectors or crosses 64 KiB of memory or a track; each is tried four times
; with a reset in between; an LBA that CHS cannot name is refused, never wrapped.

DISK_TRIES      equ 4
CYLINDERS       equ 1024                ; ten bits

; Finds out how the boot drive is to be read.
open_disk:
        mov eax, 4100h                  ; extensions present? (EDD-3, 8.7)
        mov ebx, 55AAh
        movzx edx, byte [boot_drive]
        bios 13h
        jc .geometry
        cmp bx, 0AA55h
        jne .geometry
        test cl, 1                      ; AH=42h is there
        jnz .return
.geometry:
        mov eax, 0800h
        movzx edx, byte [boot_drive]
        xor edi, edi                    ; with ES = 0: guards against BIOSes that look at them
        bios 13h
        jc disk_error
        and ecx, 3Fh
        jz disk_error                   ; no sectors: an error, not a division by zero
        mov [track_sectors], ecx
        movzx edx, dh
        inc edx
        mov [heads], edx
.return:
        ret

; Loads the payload described at ESI to its place; nothing beyond its last byte is written.
load_payload:
        mov eax, [esi + PAYLOAD_LBA]
        mov [next_lba], eax
        call packed_place
        mov ebp, [esi + PAYLOAD_BYTES]
.next:
        test ebp, ebp
        jz .return
        mov eax, ebp                    ; sectors left, 64 at most
        dec eax
        shr eax, 9
        inc eax
        cmp eax, DISK_BUFFER_SECTORS
        jbe .wanted
        mov eax, DISK_BUFFER_SECTORS
.wanted:
        push edi
        call read_sectors
        push eax
        call open_a20                   ; some BIOSes close the gate in a disk read: the copy would land on ourselves
        pop eax
        pop edi
        add [next_lba], eax
        shl eax, 9
        cmp eax, ebp
        jbe .copy
        mov eax, ebp
.copy:
        sub ebp, eax
        mov esi, DISK_BUFFER
        mov ecx, eax
        shr ecx, 2
        rep movsd
        mov ecx, eax
        and ecx, 3
        rep movsb
        jmp .next
.return:
        ret

; Reads up to EAX sectors from [next_lba] to DISK_BUFFER; EAX says how many: fewer where a track ends. Keeps EBP.
read_sectors:
        mov [wanted], eax
        mov byte [tries_left], DISK_TRIES
.try:
        cmp dword [track_sectors], 0
        jne .geometry
        mov edi, DISK_PACKET            ; EDD-3, 8.2; written anew for each try, as a BIOS may change it
        mov eax, [wanted]
        shl eax, 16
        mov al, 16
        stosd                           ; size, sectors
        mov eax, DISK_BUFFER << 12
        stosd                           ; offset, segment
        mov eax, [next_lba]
        stosd
        xor eax, eax
        stosd
        mov esi, DISK_PACKET
        mov ah, 42h
        movzx edx, byte [boot_drive]
        bios 13h
        jmp .tried
.geometry:
        mov eax, [next_lba]
        xor edx, edx
        div dword [track_sectors]
        mov ecx, [track_sectors]
        sub ecx, edx                    ; sectors to the track's end
        cmp ecx, [wanted]
        jae .within_track
        mov [wanted], ecx
.within_track:
        lea ecx, [edx + 1]              ; sectors count from 1
        xor edx, edx
        div dword [heads]
        cmp eax, CYLINDERS
        jae .out_of_reach
        mov ch, al                      ; cylinder bits 0..7, and 8..9 above the sector
        shl ah, 6
        or cl, ah
        mov dh, dl
        mov dl, [boot_drive]
        mov eax, [wanted]
        mov ah, 2
        xor ebx, ebx
        mov word [bios_es], DISK_BUFFER >> 4
        bios 13h
        mov word [bios_es], 0
.tried:
        mov eax, [wanted]
        jnc .return
        mov eax, 0
        movzx edx, byte [boot_drive]
        bios 13h                        ; reset
        dec byte [tries_left]
        jnz .try
        jmp disk_error
.out_of_reach:
        call fail
        db 'E26 disk too large for this BIOS', 0
.return:
        ret

disk_error:
        call fail
        db 'E25 disk read error', 0

section .bss
        alignb 4
next_lba:       resd 1
wanted:         resd 1
track_sectors:  resd 1                  ; 0: the extensions are there
heads:          resd 1
tries_left:     resb 1
section .text
