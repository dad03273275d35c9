//! The console at work, for whoever wants to see or measure it: `then=card` and `then=scroll` on the command line.

use crate::drivers::console;
use crate::hw::clock;
use core::fmt::Write;

/// Lines that [`scroll`] writes.
const LINES: usize = 10_000;
/// What they are made of. Each line begins with the next letter of it, so that no row of the screen looks like the one below.
const TEXT: &str =
    "The quick brown fox jumps over the lazy dog, and the dog does not mind: it has seen many such foxes. ";

/// Bytes as a program's write has them.
struct Output(arrayvec::ArrayString<1024>);

impl Output {
    fn write(&mut self, text: core::fmt::Arguments<'_>) {
        if self.0.remaining_capacity() < 256 {
            self.flush();
        }
        // What has no room is left out; no caller has so much.
        let _ = self.0.write_fmt(text);
    }

    fn flush(&mut self) {
        console::write(self.0.as_bytes());
        self.0.clear();
    }
}

/// Shows colours, attributes, line drawing and characters of all widths.
pub fn card() {
    let mut output = Output(arrayvec::ArrayString::new());
    output.write(format_args!("\r\n"));
    for row in [0, 8] {
        for colour in row..row + 8 {
            output.write(format_args!("\x1b[38;5;{colour}m colour {colour:2} \x1b[0m\x1b[48;5;{colour}m    \x1b[0m"));
        }
        output.write(format_args!("\r\n"));
    }
    for row in 0..6 {
        for colour in 0..36 {
            output.write(format_args!("\x1b[48;5;{}m  ", 16 + row * 36 + colour));
        }
        output.write(format_args!("\x1b[0m\r\n"));
    }
    for level in 0..72 {
        output.write(format_args!("\x1b[48;2;{};0;{}m ", level * 255 / 71, 255 - level * 255 / 71));
    }
    output.write(format_args!("\x1b[0m\r\n"));
    let styles = ["1mbold", "2mfaint", "3mitalic", "4munderlined", "7minverse", "9mstruck out", "1;4;33;44mall of it"];
    for style in styles {
        output.write(format_args!("\x1b[{style}\x1b[0m "));
    }
    output.write(format_args!("\r\n\x1b(0lqqqwqqqk\x1b(B ╔═══╦═══╗ ┏━━━┳━━━┓ ░▒▓█▄▌▐▀\r\n"));
    output.write(format_args!("\x1b(0x   x   x\x1b(B ║   ║   ║ ┃   ┃   ┃ äöüßéñçøŁ ΑΩπ Жя\r\n"));
    output.write(format_args!("\x1b(0mqqqvqqqj\x1b(B ╚═══╩═══╝ ┗━━━┻━━━┛ 漢字|e\u{301}|←→\r\n"));
    output.flush();
}

/// Writes many lines as a program would, and tells how long that took until all was drawn.
pub fn scroll() {
    let mut output = Output(arrayvec::ArrayString::new());
    let began = clock::now();
    for line in 0..LINES {
        let (end, start) = TEXT.split_at(line % TEXT.len());
        output.write(format_args!("{line:5} {start}{end}\r\n"));
    }
    output.flush();
    console::render_now();
    let took = clock::now().since(began).as_micros().max(1);
    log::info!("scrolled: {LINES} lines in {} ms, {} lines/s", took / 1000, LINES as u128 * 1_000_000 / took);
}
