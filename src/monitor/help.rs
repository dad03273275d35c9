//! `help`, which teaches.

use super::context::{Complaint, Context, Outcome};
use super::table::{COMMANDS, Completion};
use super::unknown;
use core::fmt::Write;

// At most 79 columns each, as is all that this says.
const INTRODUCTION: &str = "\
The kernel's own prompt: it looks into everything, and changes nothing unasked.
";

const HINTS: &str = "\
`help COMMAND` tells more. Tab completes, arrow keys bring earlier lines back,
Ctrl-R searches them. Numbers: 4096, 0x1000, 4K. Addresses: 0xffffffff80101000
or, if they are physical, p:0x100000.
";

/// Lists all commands, or tells about one.
pub fn help(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    match arguments {
        [] => list(context),
        [name] => explain(context, name),
        _ => Err(Complaint::Usage),
    }
}

fn list(context: &mut Context<'_>) -> Outcome {
    context.write_str(INTRODUCTION)?;
    let is_panic = context.panicking.is_some();
    for command in COMMANDS.iter().filter(|command| command.after_panic || !is_panic) {
        writeln!(context, "  {:<10} {:<24} {}", command.name, command.synopsis, command.summary)?;
    }
    if is_panic {
        writeln!(context, "The kernel has panicked: what needs it to run is left out.")?;
    }
    Ok(context.write_str(HINTS)?)
}

fn explain(context: &mut Context<'_>, name: &str) -> Outcome {
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(unknown("command", name, COMMANDS.iter().map(|command| command.name), "help"));
    };
    writeln!(context, "{} {}", command.name, command.synopsis)?;
    writeln!(context, "  {}", command.summary)?;
    for line in command.text.lines() {
        writeln!(context, "  {line}")?;
    }
    if let Completion::Offered(offer) = &command.completion {
        let mut outcome = Ok(());
        offer(&mut |name| outcome = outcome.and_then(|()| writeln!(context, "    {name}")));
        outcome?;
    }
    Ok(())
}
