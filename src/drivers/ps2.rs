//! The PS/2 keyboard: bytes come by interrupt into a ring; a thread makes characters of them and sees to the lights.
//!
//! The mouse's port is switched off. What of it comes through nevertheless is dropped.

use crate::drivers::input;
use crate::hw::irq::{self, Line, Registration};
use crate::hw::port::{self, KeyboardController};
use crate::hw::{acpi, clock};
use core::hint;
use core::time::Duration;
use logic::ps2::{self, Commands, ControllerCommand, Ports, status};
use logic::sync::ByteRing;
use logic::time::Instant;
use logic::tty::keys::{KeyModes, Keyboard, Keymap, ScanCodeSet, Typed};
use spin::Once;

/// The keyboard's interrupt.
const LINE: Line = Line::Isa(1);
/// Bytes taken in one interrupt: more than a keyboard holds.
const MOST_BYTES: u32 = 32;
/// Looks before the controller counts as not taking bytes: some milliseconds.
const PATIENCE: u32 = 4096;
/// Waits shorter than this are spent looking, longer ones asleep.
const SPIN: Duration = Duration::from_micros(50);
const SLEEP: Duration = Duration::from_millis(1);

static CONTROLLER: Once<KeyboardController> = Once::new();
/// What the keyboard sends, and what is printed on it.
static KEYBOARD: Once<(ScanCodeSet, Keymap)> = Once::new();
static RECEIVED: ByteRing<256> = ByteRing::new();

/// A keyboard at work.
pub(super) struct Ps2Keyboard {
    keyboard: Keyboard,
    commands: Commands,
    /// What the lights were told last.
    lights: u8,
    _registration: Registration,
}

impl Ps2Keyboard {
    /// Sets controller and keyboard up, if they are there. Takes microseconds with most controllers, some milliseconds
    /// with slow ones, for which `sleep` is called, and no time at all without one.
    pub fn start(keymap: Keymap, sleep: fn(Duration)) -> Option<Self> {
        if acpi::platform().fixed.and_then(|fixed| fixed.has_8042) == Some(false) {
            log::debug!("keyboard: none, says the firmware");
            return None;
        }
        let mut ports = ControllerPorts { controller: controller()?, sleep };
        let begun = clock::now();
        let found = match ps2::initialise(&mut ports) {
            Ok(found) => found,
            Err(failure) => {
                log::debug!("keyboard: none, {failure}");
                return None;
            }
        };
        let registration = irq::register(LINE, interrupt, "keyboard");
        let registration = registration.inspect_err(|error| log::warn!("keyboard: {error}")).ok()?;
        if let Err(failure) = found.enable(&mut ports) {
            log::warn!("keyboard: {failure}");
            return None;
        }
        ports.forget_stuck_byte();
        let nanoseconds = clock::now().nanoseconds() - begun.nanoseconds();
        log::debug!(
            "keyboard: PS/2, {} layout, scan codes of set {:?}, self-test {:?}, set up in {nanoseconds} ns",
            keymap.name(),
            found.scan_codes,
            found.self_test,
        );
        KEYBOARD.call_once(|| (found.scan_codes, keymap));
        let keyboard = Keyboard::new(found.scan_codes, keymap);
        let lights = keyboard.lights();
        Some(Self { keyboard, commands: Commands::new(lights), lights, _registration: registration })
    }

    /// The next thing that was typed.
    pub fn next(&mut self, modes: KeyModes) -> Option<Typed> {
        while let Some(byte) = RECEIVED.pop() {
            if self.commands.receive(byte) {
                continue;
            }
            match self.keyboard.receive(byte, modes) {
                Typed::Nothing => {}
                Typed::PluggedIn => self.commands = Commands::new(self.keyboard.lights()),
                typed => return Some(typed),
            }
        }
        None
    }

    /// Sends the keyboard what it has to be told next.
    pub fn command(&mut self) {
        let lights = self.keyboard.lights();
        if lights != self.lights {
            self.lights = lights;
            self.commands.set_lights(lights);
        }
        while let Some(byte) = self.commands.next(clock::now()) {
            if !send(byte) {
                self.commands.not_sent();
            }
        }
    }

    /// When [`command`](Self::command) has to be called even if nothing comes in.
    pub fn deadline(&self) -> Option<Instant> {
        self.commands.deadline()
    }
}

/// Whether something has come in.
pub(super) fn is_pending() -> bool {
    !RECEIVED.is_empty()
}

fn controller() -> Option<&'static KeyboardController> {
    if let Some(granted) = port::keyboard_controller() {
        CONTROLLER.call_once(|| granted);
    }
    CONTROLLER.get()
}

fn interrupt() {
    let Some(controller) = CONTROLLER.get() else { return };
    for _ in 0..MOST_BYTES {
        let status = controller.status();
        if status & status::OUTPUT_FULL == 0 || status == status::NOTHING_THERE {
            break;
        }
        let byte = controller.read_data();
        if status & status::FROM_SECOND == 0 {
            // Where nobody has looked for 256 bytes, what is lost is lost. A byte left in the controller would be the
            // last.
            let _ = RECEIVED.push(byte);
        }
    }
    if is_pending() {
        input::wake();
    }
}

/// Sends the keyboard a byte. False if the controller does not take it.
fn send(byte: u8) -> bool {
    let Some(controller) = CONTROLLER.get() else { return false };
    for _ in 0..PATIENCE {
        if controller.status() & status::INPUT_FULL == 0 {
            controller.write_data(byte);
            return true;
        }
        hint::spin_loop();
    }
    false
}

/// The ports, and a thread's way to wait.
struct ControllerPorts {
    controller: &'static KeyboardController,
    sleep: fn(Duration),
}

impl ControllerPorts {
    /// A byte that came before interrupts were on raises none with some controllers, and keeps all others from coming: one that is
    /// still there after a time in which its interrupt would have come is thrown away.
    fn forget_stuck_byte(&mut self) {
        let is_full = || self.controller.status() & status::OUTPUT_FULL != 0;
        if is_full() {
            (self.sleep)(SLEEP);
            if is_full() {
                self.controller.read_data();
            }
        }
    }
}

impl Ports for ControllerPorts {
    fn status(&mut self) -> u8 {
        self.controller.status()
    }

    fn read_data(&mut self) -> u8 {
        self.controller.read_data()
    }

    fn write_command(&mut self, command: ControllerCommand) {
        self.controller.write_command(command);
    }

    fn write_data(&mut self, byte: u8) {
        self.controller.write_data(byte);
    }

    fn now(&mut self) -> Duration {
        clock::now().since(Instant::START)
    }

    fn pause(&mut self, waited: Duration) {
        if waited < SPIN { hint::spin_loop() } else { (self.sleep)(SLEEP) }
    }
}

/// Another decoder of what the keyboard sends, for a panic; of what every PC's has sent, before one was found.
pub fn decoder() -> Keyboard {
    let (scan_codes, keymap) = KEYBOARD.get().copied().unwrap_or((ScanCodeSet::One, Keymap::us()));
    Keyboard::new(scan_codes, keymap)
}
