//! What to do once the kernel is ready, for tests and for whoever measures or tries: `then=` on the command line, with one of
//! `halt`, `poweroff`, `reboot`, `card`, `scroll` and `echo`.

use crate::drivers::console;
use crate::drivers::tty::{self, Tty};
use crate::{hw, proc, show};
use logic::boot::BootInfo;
use logic::tty::discipline::ReadOutcome;

/// Whether what is typed will be read by what `then=` asks for.
pub fn reads_input(info: &BootInfo) -> bool {
    info.command_line.value("then") == Some("echo")
}

/// Does what `then=` asks for.
pub fn as_asked(info: &BootInfo) {
    // Nobody may be left to draw what waits.
    console::render_now();
    match info.command_line.value("then") {
        None => {}
        Some("poweroff") => hw::power::power_off(),
        Some("reboot") => hw::power::reboot(),
        Some("halt") => hw::power::stand_still(),
        Some("card") => show::card(),
        Some("scroll") => show::scroll(),
        Some("echo") => echo(tty::console()),
        Some(other) => log::warn!("then={other} is none of halt, poweroff, reboot, card, scroll, echo"),
    }
}

/// Gives back what is typed, a line at a time, until ^D; then tells how much it was, with the checksum Adler-32 (RFC
/// 1950).
fn echo(tty: &Tty) {
    const MODULUS: u32 = 65521;
    let (mut total, mut sum, mut sum_of_sums) = (0, 1, 0);
    let mut buffer = [0; 256];
    loop {
        proc::wait_until(tty.changes(), None, || tty.poll().readable);
        let typed = match tty.read(&mut buffer) {
            ReadOutcome::Bytes(count) => buffer.get(..count).unwrap_or_default(),
            ReadOutcome::WouldBlock => continue,
            ReadOutcome::EndOfFile => break,
        };
        total += typed.len();
        for byte in typed {
            sum = (sum + u32::from(*byte)) % MODULUS;
            sum_of_sums = (sum_of_sums + sum) % MODULUS;
        }
        write_all(tty, typed);
    }
    log::info!("end of input: {total} bytes, Adler-32 {:08x}", sum_of_sums << 16 | sum);
}

fn write_all(tty: &Tty, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        proc::wait_until(tty.changes(), None, || tty.poll().writable);
        let written = tty.write(bytes);
        bytes = bytes.get(written..).unwrap_or_default();
    }
}
