//! The end of a kernel that found itself wrong: says where and why on every console, then stops.

use crate::drivers::console;
use crate::hw;
use crate::hw::lock::{Declared, Panicking};
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // A panic while panicking has nothing left that it could trust.
    if let Declared::First(panicking) = Panicking::declare(info) {
        match info.location() {
            Some(place) => console::last_words(
                &panicking,
                format_args!("kernel panic at {}:{}\n  {}\n", place.file(), place.line(), info.message()),
            ),
            None => console::last_words(&panicking, format_args!("kernel panic\n  {}\n", info.message())),
        }
    }
    hw::cpu::halt()
}
