; The memory map, and where kernel and initramfs may lie.
;
; Invariants: the map at MEMORY_MAP has [memory_map_count] entries of 24 bytes in Multiboot2's layout (base, length,
; type, 0), unsorted and overlapping as the BIOS gave them; where a usable and any other entry overlap, the other wins.

ENTRY           equ 24
E820_CALLS      equ 256                 ; enough for 128 entries and as many ignored ones; then the BIOS is going round
MIB             equ 100000h

read_memory_map:
        bios 12h                        ; KiB below the EBDA
        movzx eax, ax
        mov [low_memory_kib], eax
        cmp eax, LOW_MEMORY_TOP / 1024
        jae .enough_low_memory
        call fail
        db 'E28 not enough memory below 640 KiB', 0
.enough_low_memory:
        call read_e820
        cmp dword [memory_map_count], 0
        jne .return
        call read_older_maps
.return:
        ret

; INT 15h AX=E820h (ACPI 6.5, 15.1). 24-byte entries; a BIOS that gives 20 leaves the preset attributes.
read_e820:
        xor ebx, ebx
        mov ebp, E820_CALLS
.next:
        mov dword [E820_BUFFER + 20], 1
        mov eax, 0E820h
        mov edx, 534D4150h              ; 'SMAP'
        mov ecx, ENTRY
        mov edi, E820_BUFFER
        bios 15h
        jc .return                      ; past the end, or not known at all
        cmp eax, 534D4150h
        jne .return
        cmp ecx, 20
        jb .return
        test byte [E820_BUFFER + 20], 1 ; clear: the entry is to be ignored
        jz .ignored
        mov eax, [E820_BUFFER + 8]
        or eax, [E820_BUFFER + 12]
        jz .ignored                     ; no bytes
        mov esi, E820_BUFFER
        call append_entry
.ignored:
        dec ebp
        jz too_many_entries
        test ebx, ebx
        jnz .next
.return:
        ret

; Appends the base, length and type at ESI.
append_entry:
        mov eax, [memory_map_count]
        cmp eax, MEMORY_MAP_ENTRIES
        jae too_many_entries
        inc dword [memory_map_count]
        imul edi, eax, ENTRY
        add edi, MEMORY_MAP
        mov ecx, 5
        rep movsd
        xor eax, eax
        stosd
        ret
too_many_entries:
        call fail
        db 'E27 memory map too long', 0

; Before E820: AX=E881h (32-bit registers), then AX=E801h (16-bit): KiB from 1 to 16 MiB in AX, 64 KiB blocks above 16
; MiB in BX, or the same in CX and DX; last AH=88h: KiB above 1 MiB.
read_older_maps:
        mov eax, [low_memory_kib]
        shl eax, 10
        xor ecx, ecx
        xor edx, edx
        xor ebx, ebx
        call append_usable              ; 0 to the EBDA
        mov eax, 0E881h
        mov ebp, -1
        call extended_memory
        jnc .known
        mov eax, 0E801h
        mov ebp, 0FFFFh
        call extended_memory
        jnc .known
        mov eax, 8800h
        bios 15h
        movzx eax, ax
        mov ebx, 0
        jnc .known
        call fail
        db 'E29 the BIOS does not say how much memory there is', 0
.known:
        push ebx
        shl eax, 10
        mov ecx, MIB
        xor edx, edx
        call append_usable
        pop eax
        xor edx, edx
        shld edx, eax, 16
        shl eax, 16
        mov ecx, 16 * MIB
        ; falls through

; Appends usable memory from ECX, EDX:EAX bytes of it; none is not an entry.
append_usable:
        mov [E820_BUFFER], ecx
        mov dword [E820_BUFFER + 4], 0
        mov [E820_BUFFER + 8], eax
        mov [E820_BUFFER + 12], edx
        mov dword [E820_BUFFER + 16], 1
        mov esi, E820_BUFFER
        or eax, edx
        jnz append_entry
        ret

; The call AX; EAX and EBX from whichever pair the BIOS filled, with EBP's bits of it. Carry: not known.
extended_memory:
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        bios 15h
        jc .return
        and eax, ebp
        and ebx, ebp
        and ecx, ebp
        and edx, ebp
        mov esi, eax
        or esi, ebx                     ; clears the carry, and nothing below sets it
        jnz .return
        mov eax, ecx
        mov ebx, edx
        or ecx, edx                     ; clears the carry
        jnz .return
        stc                             ; no memory at all is no answer
.return:
        ret

; ---- Finding room ----

; Checks that the kernel can be where the table says and that its memory is usable, and chooses the initramfs's: the lowest
; page-aligned place above the kernel.
place_payloads:
        mov eax, [kernel + PAYLOAD_BYTES]
        cmp eax, [kernel + PAYLOAD_ROOM]
        ja kernel_damaged
        mov eax, [initramfs + PAYLOAD_BYTES]
        cmp eax, [initramfs + PAYLOAD_ROOM]
        ja initramfs_damaged
        mov eax, [kernel + PAYLOAD_ADDRESS]
        cmp eax, MIB
        jb impossible_kernel
        mov ecx, [kernel + PAYLOAD_ROOM]
        add ecx, eax
        jc impossible_kernel
        mov [kernel_end], ecx
        mov edx, [kernel_entry]
        sub edx, eax                    ; below the kernel: more than any size
        cmp edx, [kernel + PAYLOAD_UNPACKED]
        jae impossible_kernel
        call usable_end
        cmp eax, [kernel_end]
        jae .kernel_fits
        mov eax, MIB                    ; is there room elsewhere, where the kernel cannot lie?
        mov ecx, [kernel + PAYLOAD_ROOM]
        call find_place
        jc not_enough_memory
        call fail
        db "E40 the kernel's place is not usable memory", 0
.kernel_fits:
        cmp dword [initramfs + PAYLOAD_BYTES], 0
        je .return
        mov eax, [kernel_end]
        mov ecx, [initramfs + PAYLOAD_ROOM]
        call find_place
        jc not_enough_memory
        mov [initramfs + PAYLOAD_ADDRESS], eax
.return:
        ret

impossible_kernel:
        call fail
        db 'E41 the kernel has an impossible place or entry', 0

; EAX = the lowest page-aligned place from EAX on that has ECX usable bytes. Carry: there is none.
find_place:
        mov [lowest_place], eax
        mov [bytes_wanted], ecx
        mov dword [place_found], -1
        call try_place
        mov esi, MEMORY_MAP             ; a lowest place starts where it may at first, or where some entry starts or ends
        mov ebp, [memory_map_count]
.next:
        call entry_bounds
        jc .skip
        push edx
        mov eax, ecx
        call try_place
        pop eax
        call try_place
.skip:
        add esi, ENTRY
        dec ebp
        jnz .next
        mov eax, [place_found]
        cmp eax, -1                     ; carry: it is less
        cmc
        ret

; Takes EAX, rounded up to a page, if it is high enough, has enough usable memory, and is lower than what was found before.
try_place:
        pushad
        add eax, PAGE - 1
        jc .no
        and eax, -PAGE
        cmp eax, [lowest_place]
        jb .no
        cmp eax, [place_found]
        jae .no
        mov ebp, eax
        call usable_end
        sub eax, ebp
        cmp eax, [bytes_wanted]
        jb .no
        mov [place_found], ebp
.no:
        popad
        ret

not_enough_memory:
        call start_message
        mov esi, .needs
        call print
        mov eax, [kernel_end]
        add eax, PAGE - 1
        and eax, -PAGE
        add eax, [initramfs + PAYLOAD_ROOM]
        add eax, 2 * MIB - 1            ; rounded up, and about one more for the firmware itself
        shr eax, 20
        call print_number
        mov esi, .unit
        call print
        jmp stop
.needs: db 'E24 not enough memory: Eres needs about ', 0
.unit:  db ' MiB', 0

; The end of the usable memory that starts at EAX; EAX itself if that is not usable. Changes ECX, EDX, EBX, EDI.
usable_end:
        push esi
        push ebp
        mov edi, eax                    ; EDI is the start, EAX the end that grows
.grow:
        mov esi, MEMORY_MAP
        mov ebp, [memory_map_count]
.next_usable:
        cmp dword [esi + 16], 1
        jne .not_this
        call entry_bounds
        jc .not_this
        cmp ecx, eax
        ja .not_this
        cmp edx, eax
        jbe .not_this
        mov eax, edx
        jmp .grow                       ; each turn moves the end to another entry's, so there are at most 128
.not_this:
        add esi, ENTRY
        dec ebp
        jnz .next_usable

        mov esi, MEMORY_MAP
        mov ebp, [memory_map_count]
.next_other:
        cmp dword [esi + 16], 1
        je .usable
        call entry_bounds
        jc .usable
        cmp edx, edi
        jbe .usable                     ; ends before the start
        cmp ecx, eax
        jae .usable                     ; begins after the end
        mov eax, ecx
        cmp eax, edi
        jae .usable
        mov eax, edi                    ; the start itself is taken
.usable:
        add esi, ENTRY
        dec ebp
        jnz .next_other
        pop ebp
        pop esi
        ret

; First byte ECX and end EDX of the entry at ESI, the end cut at 4 GiB - 1. Carry: it starts above. Changes EBX.
entry_bounds:
        cmp dword [esi + 4], 1
        cmc
        jc .return
        mov ecx, [esi]
        mov edx, ecx
        mov ebx, [esi + 12]
        add edx, [esi + 8]
        adc ebx, 0
        jc .cut                         ; past the end of 64 bits
        jz .return                      ; with the carry clear
.cut:
        mov edx, -1
        clc
.return:
        ret

section .bss
        alignb 4
low_memory_kib:   resd 1
memory_map_count: resd 1
kernel_end:       resd 1                ; behind its .bss
lowest_place:     resd 1
bytes_wanted:     resd 1
place_found:      resd 1
section .text
