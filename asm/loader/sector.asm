; The boot sector: finds stage 2 on the disk it was started from, checks it, and jumps to it.
;
; Contract with the BIOS: loaded at 0:7C00 (or 7C0:0) with the boot drive in DL and nothing else promised.
; Contract with stage 2:  it is at 0:8000 with its magic first, is entered in real mode at 0:8004 with CS = 0 and the
;                         drive it came from in DL.
; Contract with the host tool (scripts/image/layout.rs): the word `stage2_sectors` (1..16) and the dword `stage2_crc`,
;                         right below the disk signature at 440, are filled in when an image is composed.
; Invariants: bytes 3..59h belong to the BIOS, which may write a geometry there; no BIOS call is trusted to keep a
; register or a segment other than CS and SS, which are 0 throughout; a failure says why, on the screen and on COM1,
; and stops: it never reboots and never hangs before its message. A wrong disk is given up for drive 80h once.

        bits 16
        org 7C00h

STAGE2          equ 8000h
STAGE2_MAGIC    equ 'ERS2'
TRIES           equ 4
COM1            equ 3F8h

        ; A BIOS may take a sector for a FAT boot record by these three bytes, and may then write the disk's geometry
        ; into the parameter block of a USB stick. So there is one, of zeros, and nothing of ours is inside it.
        jmp short begin
        nop
        times 5Ah - ($ - $$) db 0

begin:
        jmp 0:.flat                     ; some BIOSes start us at 7C0:0
.flat:
        xor ax, ax
        mov ss, ax                      ; no interrupt comes between these two instructions (SDM 3, 6.8.3)
        mov sp, 7000h                   ; not in a page that has code: emulators take long to write there
        mov ds, ax
        mov es, ax
        test dl, 70h                    ; 00..0F are floppy drives, 80..8F hard disks; anything else is a broken BIOS
        jz load
use_first_hard_disk:
        mov dl, 80h
load:
        mov di, 1                       ; stage 2 follows this sector
        mov bx, STAGE2
.next_sector:
        mov bp, read_error
        call read_sector
        jc .wrong_disk
        add bh, 2                       ; 512 bytes on
        jz .enough                      ; the segment is full: a damaged number of sectors, which the CRC will show
        inc di
        cmp di, [stage2_sectors]
        jbe .next_sector
.enough:
        mov si, STAGE2
        mov bp, nothing_here
        cmp dword [si], STAGE2_MAGIC
        je check
.wrong_disk:
        cmp dl, 80h                     ; a BIOS that gave a wrong DL is the commonest reason
        jne use_first_hard_disk

; Prints the text at BP, up to its line feed, on COM1 (115200 8N1) and on the screen, and stops for ever.
fail:
        mov dx, COM1 + 3
        mov al, 80h                     ; divisor latch open
        out dx, al
        mov dl, (COM1 + 0) & 255
        mov al, 1                       ; 115200 / 1
        out dx, al
        inc dx
        dec ax
        out dx, al
        mov dl, (COM1 + 3) & 255
        mov al, 3                       ; latch closed, 8N1
        out dx, al
        inc dx
        out dx, al                      ; DTR and RTS; OUT2 low keeps its interrupt away from the PIC
.next:
        mov dl, (COM1 + 5) & 255
        xor cx, cx
.wait:                                  ; at most 65536 looks, then the byte goes out regardless
        in al, dx
        test al, 20h                    ; transmitter empty; an absent port reads FFh
        loopz .wait
        mov al, [bp]
        inc bp
        mov dl, (COM1 + 0) & 255
        out dx, al
        pusha
        mov ah, 0Eh
        mov bx, 7
        int 10h
        popa
        cmp al, 10
        jne .next
.stop:
        cli
        hlt
        jmp .stop

; CRC-32 (IEEE 802.3, reflected) from SI to BX, bit by bit: 8 KiB take a few milliseconds, and no table has room here.
check:
        or eax, -1
.next_byte:
        xor al, [si]
        inc si
        mov cx, 8
.next_bit:
        shr eax, 1
        jnc .no_carry
        xor eax, 0EDB88320h
.no_carry:
        loop .next_bit
        cmp si, bx
        jne .next_byte
        not eax
        mov bp, damaged
        cmp eax, [stage2_crc]
        jne fail
        jmp STAGE2 + 4

; Reads the sector DI of drive DL to 0:BX, in up to four tries with a reset after each that fails. Carry: it failed.
; Changes AX, CX and SI only.
read_sector:
        mov cx, TRIES
.try:
        pusha
        pusha
        mov ah, 41h                     ; extensions present? (EDD-3, 8.7)
        mov bx, 55AAh
        call int13
        jc .geometry
        cmp bx, 0AA55h
        jne .geometry
        shr cx, 1                       ; bit 0: AH=42h is there
        jnc .geometry
        popa
        push ss                         ; the disk address packet (EDD-3, 8.2), upside down (SS is 0): 64-bit LBA,
        push ss
        push ss
        push di
        push ss                         ; segment and offset of the buffer,
        push bx
        push 1                          ; one sector,
        push 16                         ; size of the packet
        mov si, sp
        mov ah, 42h
        call int13
        popa                            ; drops the 16 bytes of the packet and keeps the carry
        jmp short .tried
.geometry:
        popa
        push dx
        push bx
        push di
        mov ah, 8
        xor di, di                      ; with ES = 0: guards against BIOSes that look at them
        call int13
        pop di
        pop bx
        pop ax
        mov dl, al                      ; the drive again; DH is the highest head
        jc .tried
        and cx, 3Fh                     ; sectors a track, and cylinder 0
        stc
        jz .tried                       ; none: an error, not a division by zero
        mov ax, di
        div cl                          ; cannot overflow: the LBA is at most 16
        mov cl, ah
        inc cx                          ; sectors count from 1
.next_cylinder:                         ; at most 16 times, so no cylinder can wrap at 1024
        cmp al, dh
        jbe .on_cylinder
        sub al, dh
        dec ax
        inc ch
        jmp .next_cylinder
.on_cylinder:
        mov dh, al
        mov ax, 0201h
        call int13
.tried:
        popa
        jnc .return
        pusha
        mov ah, 0
        call int13
        popa
        loop .try
        stc
.return:
        ret

; INT 13h with interrupts on, and the segments put right afterwards; the carry is the BIOS's.
int13:
        sti
        cld
        int 13h
        push ss
        pop ds
        push ss
        pop es
        ret

read_error:     db 'E10 disk read error', 13, 10
nothing_here:   db 'E11 no Eres here', 13, 10
damaged:        db 'E12 loader damaged', 13, 10

%if $ - $$ > 434
%error "the boot sector's code reaches into the fields that the host tool fills in"
%endif
        times 434 - ($ - $$) db 0
stage2_sectors: dw 0
stage2_crc:     dd 0
        times 510 - ($ - $$) db 0       ; disk signature (440) and partition table (446): filled in by the host tool
        dw 0AA55h
