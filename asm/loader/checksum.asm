; CRC-32 (IEEE 802.3, reflected: the one of zip and Ethernet) over what was loaded, four bytes a step.
;
; Invariant: table N at CHECKSUM_TABLES + 1024 * N gives what a byte does to the remainder after N more zero bytes.

CRC_POLYNOMIAL  equ 0EDB88320h

build_checksum_tables:
        xor ebx, ebx
.next_byte:
        mov eax, ebx
        mov ecx, 8
.next_bit:
        shr eax, 1
        jnc .no_carry
        xor eax, CRC_POLYNOMIAL
.no_carry:
        loop .next_bit
        mov [CHECKSUM_TABLES + ebx * 4], eax
        inc bl
        jnz .next_byte

        mov esi, CHECKSUM_TABLES        ; each later table from the one before it
        mov ecx, 3 * 256
.next_entry:
        lodsd
        movzx ebx, al
        shr eax, 8
        xor eax, [CHECKSUM_TABLES + ebx * 4]
        mov [esi + 1024 - 4], eax
        loop .next_entry
        ret

; ZF: the packed bytes of the payload described at ESI have the CRC that the table promises.
checksum_payload:
        push dword [esi + PAYLOAD_CRC]
        mov ecx, [esi + PAYLOAD_BYTES]
        call packed_place
        mov esi, edi
        or eax, -1
        push ecx
        shr ecx, 2
        jz .tail
.next_four:
        xor eax, [esi]
        add esi, 4
        movzx ebx, al
        mov edx, [CHECKSUM_TABLES + 3 * 1024 + ebx * 4]
        movzx ebx, ah
        xor edx, [CHECKSUM_TABLES + 2 * 1024 + ebx * 4]
        shr eax, 16
        movzx ebx, al
        xor edx, [CHECKSUM_TABLES + 1 * 1024 + ebx * 4]
        movzx ebx, ah
        mov eax, [CHECKSUM_TABLES + ebx * 4]
        xor eax, edx
        dec ecx
        jnz .next_four
.tail:
        pop ecx
        and ecx, 3
        jz .done
.next_one:
        movzx ebx, al
        xor bl, [esi]
        inc esi
        shr eax, 8
        xor eax, [CHECKSUM_TABLES + ebx * 4]
        loop .next_one
.done:
        not eax
        pop edx
        cmp eax, edx
        ret
