; The Multiboot2 boot information (specification 2.0, section 3.6).
;
; Invariants: tags start on 8-byte boundaries and their sizes do not count the padding; the whole is at most
; 8 KiB: 1 KiB of command line, 3 KiB of memory map, 256 bytes of root pointer, and small change.

; tag TYPE: begins a tag at EDI; end_tag closes it with its size. EBX holds the start in between.
%macro tag 1
        mov eax, %1
        call begin_tag
%endmacro

TAG_COMMAND_LINE        equ 1
TAG_LOADER_NAME         equ 2
TAG_MODULE              equ 3
TAG_BASIC_MEMORY        equ 4
TAG_BOOT_DEVICE         equ 5
TAG_MEMORY_MAP          equ 6
TAG_FRAMEBUFFER         equ 8
TAG_RSDP_1              equ 14
TAG_RSDP_2              equ 15
TAG_LOAD_BASE           equ 21
TAG_TIME_STAMP          equ 'ERST'      ; ours: the time-stamp counter when the loader began, 64 bits

write_information:
        mov edi, INFORMATION + 8

        tag TAG_LOAD_BASE
        mov eax, [kernel + PAYLOAD_ADDRESS]
        stosd
        call end_tag

        tag TAG_COMMAND_LINE
        mov esi, command_line
        movzx ecx, word [command_line_bytes]
        rep movsb
        mov al, 0
        stosb
        call end_tag

        tag TAG_LOADER_NAME
        mov esi, loader_name
        mov ecx, LOADER_NAME_BYTES
        rep movsb
        call end_tag

        cmp dword [initramfs + PAYLOAD_BYTES], 0
        je .no_module
        tag TAG_MODULE
        mov eax, [initramfs + PAYLOAD_ADDRESS]
        stosd
        add eax, [initramfs + PAYLOAD_UNPACKED]
        stosd
        mov esi, module_name
        mov ecx, MODULE_NAME_BYTES
        rep movsb
        call end_tag
.no_module:

        tag TAG_BASIC_MEMORY
        mov eax, [low_memory_kib]
        stosd
        push edi
        push ebx
        mov eax, MIB
        call usable_end                 ; up to the first hole above 1 MiB
        sub eax, MIB
        shr eax, 10
        pop ebx
        pop edi
        stosd
        call end_tag

        tag TAG_BOOT_DEVICE
        movzx eax, byte [boot_drive]
        stosd
        xor eax, eax                    ; the first partition,
        stosd
        dec eax                         ; which has none of its own
        stosd
        call end_tag

        tag TAG_MEMORY_MAP
        mov eax, ENTRY
        stosd
        xor eax, eax                    ; version of the entries
        stosd
        mov esi, MEMORY_MAP
        imul ecx, [memory_map_count], ENTRY / 4
        rep movsd
        call end_tag

        call write_screen

        mov esi, [rsdp]
        test esi, esi
        jz .no_rsdp
        mov ecx, [rsdp_bytes]
        mov eax, TAG_RSDP_1
        cmp ecx, RSDP_BYTES_1
        je .rsdp
        mov eax, TAG_RSDP_2
.rsdp:
        call begin_tag
        rep movsb
        call end_tag
.no_rsdp:

        cmp byte [has_time_stamp], 0
        je .no_time_stamp
        tag TAG_TIME_STAMP
        mov esi, time_stamp
        movsd
        movsd
        call end_tag
.no_time_stamp:

        tag 0
        call end_tag
        sub edi, INFORMATION
        mov [INFORMATION], edi          ; total size
        mov dword [INFORMATION + 4], 0
        ret

; Tag 8 (3.6.12): address, pitch, width, height, depth, type, reserved, and the colour fields of a framebuffer.
write_screen:
        cmp byte [screen], SCREEN_PIXELS
        je .pixels
        cmp byte [screen], SCREEN_TEXT
        jne .return
        tag TAG_FRAMEBUFFER
        mov esi, .text
        mov ecx, .text_end - .text
        rep movsb
        jmp end_tag
.pixels:
        tag TAG_FRAMEBUFFER
        mov eax, [best_address]
        stosd
        xor eax, eax
        stosd
        mov esi, best_pitch
        movsd
        movsd                           ; width
        movsd                           ; height
        movzx eax, byte [best_depth]
        mov ah, 1                       ; type 1: RGB
        stosd
        mov esi, best_masks
        movsd
        movsw
        jmp end_tag
.return:
        ret
.text:
        dq 0B8000h
        dd 160, 80, 25                  ; pitch in bytes, columns, rows
        db 16, 2, 0, 0                  ; bits a cell; type 2: EGA text
.text_end:

; Begins the tag EAX at EDI, aligned; EBX remembers where. Changes nothing else.
begin_tag:
        mov ebx, edi
        stosd
        stosd                           ; the size, written by end_tag
        ret

; Writes the size of the tag at EBX and pads EDI to the next boundary.
end_tag:
        mov eax, edi
        sub eax, ebx
        mov [ebx + 4], eax
        xor eax, eax
.pad:
        test edi, 7
        jz .return
        stosb
        jmp .pad
.return:
        ret

loader_name:    db 'Eres BIOS loader', 0
LOADER_NAME_BYTES equ $ - loader_name
module_name:    db 'initramfs', 0
MODULE_NAME_BYTES equ $ - module_name
