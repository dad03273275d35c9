; A Linux program that says what the time-stamp counter is, in hexadecimal: `counter: 0123456789abcdef`. For scripts/linux.sh.

        bits 64
        org 400000h

header: db 7Fh, 'ELF', 2, 1, 1, 0       ; ELF64, little-endian, System V (System V ABI, chapter 4)
        dq 0
        dw 2, 62                        ; executable, x86-64
        dd 1
        dq start, program_header - header, 0
        dd 0
        dw program_header - header, program_header_end - program_header, 1, 0, 0, 0
program_header:
        dd 1, 7                         ; loaded; read, write, execute
        dq 0, header, header, end - header, end - header, 1000h
program_header_end:

start:  rdtsc
        shl rdx, 32
        or rdx, rax
        mov rdi, digits
        mov ecx, 16
.next:  rol rdx, 4
        mov eax, edx
        and eax, 15
        mov al, [hexadecimal + rax]
        stosb
        loop .next
        mov eax, 1                      ; write(1, text, ...)
        mov edi, eax
        mov rsi, text
        mov edx, end - text
        syscall
        mov eax, 60                     ; exit(0)
        xor edi, edi
        syscall

hexadecimal: db '0123456789abcdef'
text:   db 'counter: '
digits: times 16 db 0
        db 10
end:
