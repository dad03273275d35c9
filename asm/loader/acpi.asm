; The ACPI root pointer, where a legacy BIOS keeps it (ACPI 6.5, 5.2.5.1): in the first KiB of the EBDA or between
; E0000 and FFFFF, on a 16-byte boundary.
;
; Invariant: [rsdp] is 0, or the address of [rsdp_bytes] bytes whose checksums were right.

RSDP_BYTES_1    equ 20                  ; revision 0
RSDP_BYTES_2    equ 36                  ; revision 2
RSDP_BYTES_MAX  equ 256                 ; a longer one is not believed

find_rsdp:
        movzx esi, word [40Eh]          ; the EBDA's segment, where a BIOS has one
        shl esi, 4
        cmp esi, 80000h
        jb .read_only_memory
        cmp esi, 0A0000h - 1024
        ja .read_only_memory
        lea edx, [esi + 1024]
        call .search
        je .return
.read_only_memory:
        mov esi, 0E0000h
        mov edx, 100000h
; ZF: found between ESI and EDX.
.search:
        call is_rsdp
        je .return
        add esi, 16
        cmp esi, edx
        jb .search
        test esi, esi                   ; not found: ESI is no null pointer, so ZF is clear
.return:
        ret

; ZF: a root pointer is at ESI, and is now the one we pass on.
is_rsdp:
        cmp dword [esi], 'RSD '
        jne .return
        cmp dword [esi + 4], 'PTR '
        jne .return
        mov ecx, RSDP_BYTES_1
        call sum_bytes
        jne .return
        mov ecx, RSDP_BYTES_1
        cmp byte [esi + 15], 2          ; revision
        jb .take
        mov ecx, [esi + 20]             ; length
        lea eax, [ecx - RSDP_BYTES_2]
        cmp eax, RSDP_BYTES_MAX - RSDP_BYTES_2
        ja .return                      ; with ZF clear
        call sum_bytes
        jne .return
        mov ecx, [esi + 20]
.take:
        mov [rsdp], esi
        mov [rsdp_bytes], ecx
        cmp eax, eax
.return:
        ret

; ZF: the ECX bytes at ESI add up to 0 in eight bits.
sum_bytes:
        mov al, 0
.next:
        add al, [esi + ecx - 1]
        loop .next
        test al, al
        ret

        align 4
section .bss
        alignb 4
rsdp:           resd 1
rsdp_bytes:     resd 1
section .text
