; Payloads are packed in the image, as an LZ4 block (lz4 1.10, doc/lz4_Block_format.md), and unpacked in place.
;
; Invariant: a packed payload lies at the end of the room that the table gives it. The host tool made sure that the room is
; so large that unpacking to its start never overtakes what is still to be read.

; EDI = where the packed bytes of the payload described at ESI lie, EDX = their end. Changes nothing else.
packed_place:
        mov edx, [esi + PAYLOAD_ADDRESS]
        add edx, [esi + PAYLOAD_ROOM]
        mov edi, edx
        sub edi, [esi + PAYLOAD_BYTES]
        ret

; Unpacks the payload described at ESI, whose checksum was right, and zeroes the rest of its room. ZF: it has the right size.
unpack_payload:
        call packed_place
        mov ebp, edx                    ; the end
        mov edx, edi
        mov edi, [esi + PAYLOAD_ADDRESS]
        push esi
        mov esi, edx                    ; from here on ESI reads and EDI writes
.sequence:
        cmp esi, ebp
        jae .unpacked
        lodsb                           ; high half: literals; low half: bytes to repeat, less four
        movzx edx, al
        mov ecx, edx
        shr ecx, 4
        call .long_count
        or ebx, -1
        call .copy
        cmp esi, ebp                    ; the last sequence has literals only
        jae .unpacked
        xor eax, eax
        lodsw
        mov ebx, eax                    ; how far back
        mov ecx, edx
        and ecx, 15
        call .long_count
        add ecx, 4
        push esi
        mov esi, edi
        sub esi, ebx
        call .copy
        pop esi
        jmp .sequence
.unpacked:
        pop esi
        mov edx, edi
        sub edx, [esi + PAYLOAD_ADDRESS]
        mov ecx, [esi + PAYLOAD_ROOM]
        sub ecx, edx
        jbe .compare                    ; nothing is left; only a table that is wrong lets it be less than nothing
        push ecx
        xor eax, eax
        shr ecx, 2
        rep stosd
        pop ecx
        and ecx, 3
        rep stosb
.compare:
        cmp edx, [esi + PAYLOAD_UNPACKED]
        ret

; A count of 15 goes on in further bytes, up to the first that is not 255.
.long_count:
        cmp ecx, 15
        jne .return
.more:
        xor eax, eax
        lodsb
        add ecx, eax
        cmp al, 255
        je .more
.return:
        ret

; Copies ECX bytes forward; where the source lies EBX bytes behind the target and that is less than four, byte by byte.
.copy:
        cmp ebx, 4
        jb .bytes
        mov eax, ecx
        shr ecx, 2
        rep movsd
        mov ecx, eax
        and ecx, 3
.bytes:
        rep movsb
        ret
