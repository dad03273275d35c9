//! What people type, at the keyboard and at the serial port, on its way to the console's terminal.
//!
//! Interrupt handlers collect bytes and call [`wake`]; one thread calls [`Input::service`] whenever
//! [`Input::has_work`]. Drivers know no threads, so `main.rs` brings the two together.

use crate::drivers::ps2::{self, Ps2Keyboard};
use crate::drivers::tty::{Place, Tty};
use crate::drivers::{console, serial_input, tty};
use crate::hw::clock;
use crate::hw::irq::Registration;
use crate::hw::lock::Panicking;
use crate::hw::port;
use arrayvec::ArrayVec;
use core::time::Duration;
use logic::boot::BootInfo;
use logic::sync::WaitQueue;
use logic::time::Instant;
use logic::tty::keys::{Action, KeyModes, Keymap, Names, Typed};
use spin::Once;

/// Bytes from the serial port that are served in one go.
const CHUNK: usize = 64;

/// How often a serial port without interrupts is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

static WORK: WaitQueue = WaitQueue::new();
static ATTENTION: Once<fn(Attention)> = Once::new();

/// Somebody wants the kernel itself, whatever programs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Alt+SysRq and the key with this character.
    SysRq(char),
    /// A break on the serial line.
    SerialBreak,
    /// Ctrl+Alt+Delete.
    ControlAltDelete,
}

/// Has `hook` called when somebody wants the kernel's attention, in the thread that serves input: until it returns,
/// nothing that is typed gets anywhere. The first one stays.
pub fn set_attention_hook(hook: fn(Attention)) {
    ATTENTION.call_once(|| hook);
}

/// There is something to serve. From any context.
pub(super) fn wake() {
    WORK.wake_all();
}

/// Keyboard and serial port, as far as they are there.
pub struct Input {
    keyboard: Option<Ps2Keyboard>,
    _serial: Option<Registration>,
    /// When to ask the serial port next, if it cannot interrupt.
    next_poll: Option<Instant>,
    /// What the terminal had no room for.
    held: ArrayVec<u8, CHUNK>,
    /// The terminal that the latest bytes from the serial port were for.
    terminal: &'static Tty,
    told_overrun: bool,
}

impl Input {
    /// Starts both. `sleep` is for keyboard controllers that take their time.
    pub fn start(info: &BootInfo, sleep: fn(Duration)) -> Self {
        let (serial, next_poll) = match serial_input::start() {
            Some(Ok(registration)) => (Some(registration), None),
            Some(Err(error)) => {
                log::warn!("serial port: {error}, so it is asked a hundred times a second");
                (None, Some(Instant::START))
            }
            None => (None, None),
        };
        let keyboard = Ps2Keyboard::start(keymap(info), sleep);
        Self {
            keyboard,
            _serial: serial,
            next_poll,
            held: ArrayVec::new(),
            terminal: tty::typed_at(),
            told_overrun: false,
        }
    }

    /// Wakes when there may be work.
    pub fn work(&self) -> &'static WaitQueue {
        &WORK
    }

    /// Whether [`service`](Self::service) has something to do.
    pub fn has_work(&self) -> bool {
        let serial = if self.held.is_empty() { serial_input::has_bytes() } else { tty::typed_at().has_room() };
        serial || serial_input::has_break() || (self.keyboard.is_some() && ps2::is_pending())
    }

    /// When to call [`service`](Self::service) even without work.
    pub fn deadline(&self) -> Option<Instant> {
        let keyboard = self.keyboard.as_ref().and_then(Ps2Keyboard::deadline);
        keyboard.into_iter().chain(self.next_poll).min()
    }

    /// Serves what has come in, until there is nothing left or the terminal has no room.
    pub fn service(&mut self) {
        loop {
            self.serve_keyboard();
            self.serve_serial();
            if !self.has_work() {
                break;
            }
        }
        if serial_input::overruns() > 0 && !self.told_overrun {
            self.told_overrun = true;
            log::warn!("serial port: bytes came in too fast and were lost");
        }
    }

    fn serve_keyboard(&mut self) {
        let Some(keyboard) = &mut self.keyboard else { return };
        loop {
            let modes = KeyModes { application_cursor: console::modes().application_cursor_keys };
            match keyboard.next(modes) {
                // What a terminal has no room for is lost, as it would be while nobody listened.
                Some(Typed::Bytes(bytes)) => {
                    console::reset_view();
                    tty::typed_at().type_in(&bytes, Place::Keyboard);
                }
                Some(Typed::Action(action)) => act(action),
                Some(Typed::Nothing | Typed::PluggedIn) => {}
                None => break,
            }
        }
        keyboard.command();
    }

    fn serve_serial(&mut self) {
        if let Some(next_poll) = &mut self.next_poll {
            serial_input::poll();
            *next_poll = clock::now().after(POLL_INTERVAL);
        }
        if serial_input::take_break() {
            attend(Attention::SerialBreak);
        }
        self.follow_terminal();
        while let Some(byte) = (!self.held.is_full()).then(serial_input::pop).flatten() {
            self.held.push(byte);
        }
        if !self.held.is_empty() {
            let taken = self.terminal.type_in(&self.held, Place::SerialPort);
            self.held.drain(..taken);
            serial_input::resume();
        }
    }

    /// Goes on with the terminal that has the console now. What waited for room at the programs' is no command for the monitor.
    fn follow_terminal(&mut self) {
        let before = core::mem::replace(&mut self.terminal, tty::typed_at());
        let is_programs = |terminal: &'static Tty| core::ptr::eq(terminal, tty::console());
        if !is_programs(before) || is_programs(self.terminal) || self.held.is_empty() {
            return;
        }
        let mut lost = self.held.len();
        self.held.clear();
        // No more than there can be at once: more may come in.
        lost += (0..serial_input::RING_BYTES).map_while(|_| serial_input::pop()).count();
        serial_input::resume();
        // Not on the screen, where the prompt is by now.
        log::debug!("serial port: {lost} bytes that no program has read are lost");
    }
}

/// A byte from the serial port, for a panic, when no interrupt comes: what was taken in while sending comes first.
pub fn poll_serial(panicking: &Panicking) -> Option<u8> {
    serial_input::pop().or_else(|| port::poll_serial(panicking))
}

fn act(action: Action) {
    let (_, rows) = console::size();
    let half = isize::try_from(rows / 2).unwrap_or(0);
    match action {
        Action::ViewEarlier => console::scroll_view(half),
        Action::ViewLater => console::scroll_view(-half),
        Action::SysRq(key) => attend(Attention::SysRq(key)),
        Action::ControlAltDelete => attend(Attention::ControlAltDelete),
    }
}

fn attend(attention: Attention) {
    if let Some(hook) = ATTENTION.get() {
        hook(attention);
    }
}

/// The layout that the command line asks for.
fn keymap(info: &BootInfo) -> Keymap {
    let Some(name) = info.command_line.value("keymap") else { return Keymap::us() };
    Keymap::new(name).unwrap_or_else(|| {
        log::warn!("keymap={name} is none of {Names}; all take -nodeadkeys behind them");
        Keymap::us()
    })
}
