//! `reboot`, `poweroff`, `provoke`, `clear`, `continue`: what becomes of the machine, and of this prompt.

use super::context::{Complaint, Context, Outcome, complain};
use super::unknown;
use crate::hw::power;
use crate::provoke as faults;

/// Fails on purpose.
pub fn provoke(_: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    match arguments {
        [name] if faults::provoke(name) => Ok(()),
        [name] => Err(unknown("fault", name, faults::names(), "help provoke")),
        _ => Err(Complaint::Usage),
    }
}

/// Empties the screen.
pub fn clear(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    alone(arguments)?;
    context.clear();
    Ok(())
}

/// Leaves the prompt.
pub fn leave(_: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    alone(arguments)?;
    Err(Complaint::Leave)
}

/// Resets the machine.
pub fn reboot(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    alone(arguments)?;
    match context.panicking {
        Some(panicking) => power::reboot_in_panic(panicking),
        None => power::reboot(),
    }
    complain!("the machine does not reset: please do it")
}

/// Switches the machine off.
pub fn power_off(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    alone(arguments)?;
    match context.panicking {
        Some(panicking) => power::power_off_in_panic(panicking),
        None => power::power_off(),
    }
    complain!("it is now safe to switch off the machine")
}

fn alone(arguments: &[&str]) -> Outcome {
    if arguments.is_empty() { Ok(()) } else { Err(Complaint::Usage) }
}
