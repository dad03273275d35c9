; Included by entry.asm: says `Exx text` on COM1 and on whatever screen the loader left, then stops, all in 32-bit code.
;
; A message (made by scripts/build.rs in messages.inc.asm) is: dd length, the text, then 16 rows of `length` bytes, one bit a
; pixel, so that it can be drawn into a framebuffer: a machine that cannot run the kernel must still be told why.

TEXT_MEMORY   equ 0xb8000
TEXT_COLUMNS  equ 80
TEXT_COLOUR   equ 0x4f              ; white on red
GLYPH_ROWS    equ 16
FRAMEBUFFER_TAG_SIZE equ 38         ; with the six bytes that place the colours
SERIAL_PATIENCE equ 100000          ; polls of the line status before a byte is sent regardless

; EBP = message, EDI = the loader's magic, ESI = the boot information if the magic is right. Does not return.
fail:
    call say_on_screen
    call say_on_serial
stop:
    cli
    hlt
    jmp stop

say_on_screen:
    cmp edi, MULTIBOOT2_LOADER_MAGIC
    jne .text_screen                ; ESI means nothing then
    call find_framebuffer
    jc .text_screen
    jmp draw_in_framebuffer
.text_screen:
    jmp say_in_text_memory

say_on_serial:
    mov dx, COM1 + 3
    mov al, 0x80                    ; divisor latch
    out dx, al
    mov dx, COM1
    mov al, 1                       ; 115200 baud
    out dx, al
    inc dx
    mov al, 0
    out dx, al
    mov dx, COM1 + 3
    mov al, 3                       ; 8N1
    out dx, al
    mov dword [PHYSICAL(serial_patience)], SERIAL_PATIENCE
    mov ecx, [ebp]
    lea esi, [ebp + 4]
.next:
    lodsb
    call send
    loop .next
    mov al, 13
    call send
    mov al, 10
    jmp send

; Sends AL, after a bounded wait for the transmitter. A port that kept us waiting in vain is not waited for again.
send:
    push ecx
    push eax
    mov ecx, [PHYSICAL(serial_patience)]
    mov dx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20
    loopz .wait
    jnz .ready
    mov dword [PHYSICAL(serial_patience)], 1
.ready:
    pop eax
    mov dx, COM1
    out dx, al
    pop ecx
    ret

say_in_text_memory:
    mov edi, TEXT_MEMORY
    mov ecx, TEXT_COLUMNS
    mov ax, (TEXT_COLOUR << 8) | ' '
    rep stosw
    mov edi, TEXT_MEMORY
    mov ecx, [ebp]
    lea esi, [ebp + 4]
    mov ah, TEXT_COLOUR
.next:
    lodsb
    stosw
    loop .next
    ret

; Finds a framebuffer tag (Multiboot2 section 3.6.12) that can be drawn in: EDX = the tag, carry clear. Else carry set.
; Nothing in the information is believed: sizes may be anything, so the walk counts what is left and only ever goes forward.
find_framebuffer:
    mov ecx, [esi]                  ; bytes left
    sub ecx, 8
    jb .none
    lea edx, [esi + 8]
.tag:
    cmp ecx, 8
    jb .none
    cmp dword [edx], 0
    je .none
    mov eax, [edx + 4]
    cmp eax, 8
    jb .none
    cmp eax, ecx
    ja .none
    cmp dword [edx], 8
    je .found
    add eax, 7                      ; cannot wrap: it is no more than what is left, and that is less than 4 GiB - 8
    and eax, ~7
    sub ecx, eax
    jbe .none
    add edx, eax
    jc .none
    jmp .tag
.found:
    cmp eax, FRAMEBUFFER_TAG_SIZE
    jb .none
    cmp byte [edx + 29], 1          ; direct colour
    jne .none
    cmp dword [edx + 12], 0         ; below 4 GiB
    jne .none
    mov al, [edx + 28]
    cmp al, 32
    je .wide_enough
    cmp al, 24
    jne .none
.wide_enough:
    mov eax, [ebp]
    shl eax, 3
    cmp eax, [edx + 20]
    ja .none
    cmp dword [edx + 24], GLYPH_ROWS
    jb .none
    clc
    ret
.none:
    stc
    ret

; Draws the message in the top left corner, white on black. EDX = the framebuffer tag.
draw_in_framebuffer:
    mov ecx, [ebp]
    lea esi, [ebp + 4 + ecx]        ; the rows of pixels
    mov edi, [edx + 8]
    mov ebx, GLYPH_ROWS
.row:
    push edi
    push ebx
    mov ecx, [ebp]
.byte:
    push ecx
    lodsb
    mov ah, al
    mov ecx, 8
.pixel:
    xor ebx, ebx
    shl ah, 1
    sbb ebx, ebx                    ; all ones for a set bit
    mov [edi], bx
    mov [edi + 2], bl
    add edi, 3
    cmp byte [edx + 28], 32
    jne .next_pixel
    inc edi
.next_pixel:
    loop .pixel
    pop ecx
    loop .byte
    pop ebx
    pop edi
    add edi, [edx + 16]
    dec ebx
    jnz .row
    ret

%include "messages.inc.asm"
