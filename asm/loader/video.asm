; The screen: a linear framebuffer in direct colour by VBE 2.0 or later, else 80x25 text. Never fatal.
;
; Invariants: [video_mode] is the VBE mode that was chosen, 0 if none; [screen] says what the screen is at the end.
; The mode is set as late as possible, because every error message wants the text screen.

VBE_OK          equ 004Fh
VBE_LINEAR      equ 4000h               ; in a mode number: the linear framebuffer
MODES           equ 512                 ; a list without an end is left there

; Mode attributes (VBE 3.0, 4.4): supported, colour, graphics, linear framebuffer.
MODE_WANTED     equ 1 << 0 | 1 << 3 | 1 << 4 | 1 << 7
DIRECT_COLOUR   equ 6                   ; memory model

SCREEN_NONE     equ 0
SCREEN_TEXT     equ 1
SCREEN_PIXELS   equ 2

; Chooses the largest mode that exceeds the preferred size in neither direction, which is the preferred size itself
; where there is one; of the same size 32 bits a pixel before 24.
choose_video_mode:
        cmp word [preferred_width], 0
        je .return
        mov eax, 0200h                  ; either Shift key asks for text
        bios 16h
        test al, 3
        jnz .return
        mov dword [VBE_CONTROLLER], 'VBE2'
        mov eax, 4F00h
        mov edi, VBE_CONTROLLER
        bios 10h
        cmp ax, VBE_OK
        jne .return
        cmp dword [VBE_CONTROLLER], 'VESA'
        jne .return
        cmp word [VBE_CONTROLLER + 4], 0200h
        jb .return
        movzx esi, word [VBE_CONTROLLER + 16]   ; far pointer to the list of modes, offset and segment
        shl esi, 4
        movzx eax, word [VBE_CONTROLLER + 14]
        add esi, eax
        mov ebp, MODES
.next:
        movzx ecx, word [esi]
        cmp cx, -1
        je .return
        push esi
        call consider_mode
        pop esi
        mov eax, [preferred_width]      ; and height
        cmp eax, [best_size]
        jne .not_the_best
        cmp byte [best_depth], 32
        je .return                      ; there is no better one, and asking takes its time
.not_the_best:
        add esi, 2
        dec ebp
        jnz .next
.return:
        ret

; Takes mode ECX if it will do and is better than the last.
consider_mode:
        mov edi, VBE_MODE               ; an old BIOS fills part of it only
        push ecx
        mov ecx, 64
        xor eax, eax
        rep stosd
        pop ecx
        push ecx
        mov edi, VBE_MODE
        mov eax, 4F01h
        bios 10h
        pop ecx
        cmp ax, VBE_OK
        jne .return
        mov al, [VBE_MODE]
        and al, MODE_WANTED
        cmp al, MODE_WANTED
        jne .return
        cmp byte [VBE_MODE + 27], DIRECT_COLOUR
        jne .return
        cmp dword [VBE_MODE + 40], 0    ; the framebuffer's address
        je .return
        movzx ebx, byte [VBE_MODE + 25] ; bits a pixel
        cmp bl, 32
        je .depth_is_good
        cmp bl, 24
        jne .return
.depth_is_good:
        movzx eax, word [VBE_MODE + 18]
        cmp ax, [preferred_width]
        ja .return
        movzx edx, word [VBE_MODE + 20]
        cmp dx, [preferred_height]
        ja .return
        push eax
        imul eax, edx
        mov edi, eax                    ; pixels: at most 65535 squared
        pop eax
        test edi, edi
        jz .return
        cmp edi, [best_pixels]
        jb .return
        ja .better
        cmp bl, [best_depth]
        jbe .return
.better:
        ; VBE 3.0 says apart what holds for the linear framebuffer; some of its BIOSes leave that empty.
        cmp word [VBE_CONTROLLER + 4], 0300h
        jb .banked_fields
        cmp byte [VBE_MODE + 54], 0
        je .banked_masks
        mov esi, VBE_MODE + 54
        jmp .masks
.banked_fields:
        mov word [VBE_MODE + 50], 0
.banked_masks:
        mov esi, VBE_MODE + 31
.masks:
        push esi
        movzx esi, word [VBE_MODE + 50]
        test esi, esi
        jnz .pitch
        movzx esi, word [VBE_MODE + 16]
.pitch:
        mov [best_pitch], esi
        pop esi
        ; (size, position) of red, green and blue here; Multiboot2 wants them the other way round.
        push ecx
        mov edi, best_masks
        mov ecx, 3
.next_mask:
        push eax
        lodsw
        xchg al, ah
        stosw
        pop eax
        loop .next_mask
        pop ecx
        mov [video_mode], ecx
        mov [best_width], eax
        mov [best_height], edx
        mov [best_size], ax
        mov [best_size + 2], dx
        mov [best_depth], bl
        imul eax, edx
        mov [best_pixels], eax
        mov eax, [VBE_MODE + 40]
        mov [best_address], eax
.return:
        ret

; Sets the chosen mode, or text mode 3 if there is none or the BIOS cannot after all.
set_video_mode:
        mov ebx, [video_mode]
        test ebx, ebx
        jz .text
        or ebx, VBE_LINEAR
        mov eax, 4F02h
        xor edi, edi                    ; no CRTC values of our own
        bios 10h
        cmp ax, VBE_OK
        jne .text
        mov byte [screen], SCREEN_PIXELS
        ret
.text:
        mov eax, 3
        bios 10h
        mov eax, 0F00h                  ; which mode is it? Without a display there is nobody to answer
        bios 10h
        and al, 7Fh
        cmp al, 3
        jne .return
        mov byte [screen], SCREEN_TEXT
.return:
        ret

section .bss
        alignb 4
video_mode:     resd 1
best_pixels:    resd 1
best_address:   resd 1
best_pitch:     resd 1
best_width:     resd 1
best_height:    resd 1
best_size:      resw 2                  ; both, as the table has what is preferred
best_depth:     resb 1
screen:         resb 1                  ; SCREEN_NONE at first
best_masks:     resb 6                  ; (position, size) of red, green and blue
section .text
