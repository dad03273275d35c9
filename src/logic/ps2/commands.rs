//! Commands to the keyboard, one byte at a time: each is sent when the keyboard has acknowledged the one before.
//! Answers come among scan codes, so nothing here waits: it says what to send, is told what has come, and says when to
//! give up.

use crate::time::Instant;
use core::time::Duration;

/// Sets the lights: scroll lock 1, num lock 2, caps lock 4.
const SET_LIGHTS: u8 = 0xed;
/// Sets how fast a held key repeats.
const SET_REPEAT: u8 = 0xf3;
/// After 250 ms, 30 times a second.
const FASTEST_REPEAT: u8 = 0;
/// Sends scan codes.
const ENABLE: u8 = 0xf4;

const ACKNOWLEDGED: u8 = 0xfa;
const SEND_AGAIN: u8 = 0xfe;

/// How long the keyboard may take to acknowledge a byte: 20 ms by the book.
const PATIENCE: Duration = Duration::from_millis(200);
/// A byte is sent so often when the keyboard asks for it again and again.
const MOST_TRIES: u32 = 3;

/// What the keyboard is to be told, and how far that is.
#[derive(Debug)]
pub struct Commands {
    /// Not begun yet.
    enable: bool,
    repeat: bool,
    lights: Option<u8>,
    /// What comes after the byte on its way.
    argument: Option<u8>,
    on_its_way: Option<Byte>,
}

/// A byte that was not acknowledged yet.
#[derive(Debug)]
struct Byte {
    value: u8,
    tries: u32,
    /// It has to be sent, for the first time or again.
    is_due: bool,
    give_up: Instant,
}

impl Commands {
    /// What a keyboard is told at first: to send scan codes, to repeat swiftly, and its lights.
    pub fn new(lights: u8) -> Self {
        Self { enable: true, repeat: true, lights: Some(lights), argument: None, on_its_way: None }
    }

    /// Has the lights changed.
    pub fn set_lights(&mut self, lights: u8) {
        self.lights = Some(lights);
    }

    /// The byte to send now, if any.
    pub fn next(&mut self, now: Instant) -> Option<u8> {
        if self.on_its_way.as_ref().is_some_and(|byte| now >= byte.give_up) {
            // There is no keyboard, or none that takes commands.
            (self.enable, self.repeat, self.lights) = (false, false, None);
            self.give_up();
        }
        if self.on_its_way.is_none() {
            let value = self.argument.take().or_else(|| self.begin())?;
            self.on_its_way = Some(Byte { value, tries: 0, is_due: true, give_up: Instant::NEVER });
        }
        let byte = self.on_its_way.as_mut().filter(|byte| byte.is_due)?;
        byte.is_due = false;
        byte.tries = byte.tries.saturating_add(1);
        byte.give_up = now.after(PATIENCE);
        Some(byte.value)
    }

    /// Whether `byte`, which has come from the keyboard, is an answer rather than a scan code.
    pub fn receive(&mut self, byte: u8) -> bool {
        let Some(sent) = self.on_its_way.as_mut().filter(|sent| !sent.is_due) else { return false };
        match byte {
            ACKNOWLEDGED => self.on_its_way = None,
            SEND_AGAIN if sent.tries < MOST_TRIES => sent.is_due = true,
            SEND_AGAIN => self.give_up(),
            _ => return false,
        }
        true
    }

    /// The byte could not be sent.
    pub fn not_sent(&mut self) {
        self.give_up();
    }

    /// When to ask for the next byte even if none has come.
    pub fn deadline(&self) -> Option<Instant> {
        self.on_its_way.as_ref().map(|byte| byte.give_up)
    }

    /// The first byte of the next command.
    fn begin(&mut self) -> Option<u8> {
        if core::mem::take(&mut self.enable) {
            return Some(ENABLE);
        }
        if core::mem::take(&mut self.repeat) {
            self.argument = Some(FASTEST_REPEAT);
            return Some(SET_REPEAT);
        }
        self.argument = Some(self.lights.take()?);
        Some(SET_LIGHTS)
    }

    fn give_up(&mut self) {
        self.argument = None;
        self.on_its_way = None;
    }
}
