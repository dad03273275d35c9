//! Interrupts off for a while: on the host, where there are none, nothing.

use core::marker::PhantomData;

/// Interrupts are off on this processor until this is dropped; then they are again as they were. Several must be dropped
/// in the reverse order of their making, or interrupts come on too early.
#[must_use = "interrupts come on again as soon as this is dropped"]
pub struct InterruptsOff {
    were_on: bool,
    /// The flag belongs to one processor, so this must not be sent to another.
    _not_send: PhantomData<*const ()>,
}

impl InterruptsOff {
    /// Switches interrupts off.
    pub fn new() -> Self {
        Self { were_on: machine::switch_off(), _not_send: PhantomData }
    }
}

impl Default for InterruptsOff {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for InterruptsOff {
    fn drop(&mut self) {
        if self.were_on {
            machine::switch_on();
        }
    }
}

#[cfg(target_os = "none")]
mod machine {
    use x86_64::instructions::interrupts;

    /// Answers whether they were on.
    pub fn switch_off() -> bool {
        let were_on = interrupts::are_enabled();
        interrupts::disable();
        were_on
    }

    pub fn switch_on() {
        interrupts::enable();
    }
}

#[cfg(not(target_os = "none"))]
mod machine {
    pub fn switch_off() -> bool {
        false
    }

    pub fn switch_on() {}
}
