//! Tests of the harness itself, against a boot sector that echoes what it is told.
//!
//! They tell apart a fault of the harness from one of the system, and need no image.

use crate::harness::{Machine, Mode};
use std::thread;
use std::time::Duration;
use std::{env, fs, process};

/// Greets on screen and serial line; a key appears on both, a serial byte on the screen. `~` leaves by isa-debug-exit.
const ECHO: &str = r#"
bits 16
org 0x7c00
        jmp 0:start
start:  xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov si, greeting
.greet: lodsb
        test al, al
        jz .idle
        call both
        jmp .greet
.idle:  mov dx, 0x3fd                   ; line status: bit 0, a byte has come
        in al, dx
        cmp al, 0xff                    ; nothing there
        je .key
        test al, 1
        jz .key
        mov dx, 0x3f8
        in al, dx
        call screen
.key:   mov ah, 1                       ; INT 16h/01h: is a key waiting?
        int 0x16
        jz .idle
        xor ah, ah
        int 0x16
        cmp al, '~'
        je .leave
        test al, al                     ; a key without a character: tell its scan code's letter
        jnz .echo
        mov al, ah
.echo:  call both
        cmp al, 13
        jne .idle
        mov al, 10
        call both
        jmp .idle
.leave: mov al, 3
        mov dx, 0x501
        out dx, al
        jmp .idle
both:   push ax
        call screen
        pop ax
        mov dx, 0x3f8
        out dx, al
        ret
screen: mov ah, 0x0e
        mov bx, 7
        int 0x10
        ret
greeting: db "Stand-in", 13, 10, 0
        times 510-($-$$) db 0
        dw 0xaa55
"#;

#[test]
fn keys_appear_on_the_screen_and_on_the_serial_line() {
    let mut machine = Machine::sector(ECHO).boot();
    let greeting = machine.expect_line("Stand-in");
    assert_eq!(greeting.text, "Stand-in");
    machine.type_text("The quick (brown) fox: 100%!\n");
    let echo = machine.expect_line("The quick (brown) fox: 100%!");
    assert!(Duration::ZERO < greeting.arrived && greeting.arrived < echo.arrived);
    let screen = machine.expect_on_screen("The quick (brown) fox: 100%!");
    assert_eq!(screen.mode, Mode::VgaText);
    assert!(screen.unwrapped().contains("Stand-in\n"));
    machine.expect_silence(Duration::from_millis(200));
}

#[test]
fn a_chord_is_one_key_and_a_held_key_repeats() {
    let mut machine = Machine::sector(ECHO).boot();
    machine.expect_line("Stand-in");
    machine.send_key("shift-f1"); // INT 16h scan code 54h, which is 'T'
    machine.expect_prompt("T");
    machine.hold_key("x");
    machine.expect_prompt("Txxx");
    machine.release_key("x");
    thread::sleep(Duration::from_secs(1)); // presses under way are echoed
    machine.expect_silence(Duration::from_millis(200));
}

#[test]
fn a_key_held_from_power_on_is_seen() {
    let mut machine = Machine::sector(ECHO).holding("y").boot();
    machine.expect_line("Stand-in");
    machine.expect_prompt("yy");
}

#[test]
fn bytes_sent_to_the_serial_port_arrive() {
    let mut machine = Machine::sector(ECHO).boot();
    machine.expect_line("Stand-in");
    machine.send_serial("over the wire");
    machine.expect_on_screen("over the wire");
}

#[test]
fn a_machine_without_a_serial_port_or_without_a_display_still_has_the_other() {
    Machine::sector(ECHO).no_serial().boot().expect_on_screen("Stand-in");
    let mut machine = Machine::sector(ECHO).vga("none").boot();
    machine.expect_line("Stand-in");
    assert_eq!(machine.screen().mode, Mode::None);
}

#[test]
fn the_exit_code_is_the_one_the_machine_chose() {
    let mut machine = Machine::sector(ECHO).argument("-device").argument("isa-debug-exit").boot();
    machine.expect_line("Stand-in");
    machine.expect_stays_up(Duration::from_millis(200));
    machine.type_text("~");
    machine.expect_exit(3 * 2 + 1); // isa-debug-exit: the byte written, doubled, plus one
}

#[test]
fn a_screenshot_is_a_png_of_the_screens_size() {
    let mut machine = Machine::sector(ECHO).boot();
    machine.expect_on_screen("Stand-in");
    let path = env::temp_dir().join(format!("eres-screenshot-{}.png", process::id()));
    machine.screenshot(&path);
    let bytes = fs::read(&path).expect("a screenshot");
    fs::remove_file(&path).expect("removable");
    let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    let reader = decoder.read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (720, 400));
}

#[test]
#[should_panic(expected = "Stand-in\n")]
fn a_failed_expectation_shows_the_serial_log() {
    let mut machine = Machine::sector(ECHO).boot();
    machine.expect_line("Stand-in");
    machine.qmp("quit", serde_json::json!({}));
    machine.expect_line("never said");
}
