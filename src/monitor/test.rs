//! `test`: the kernel's tests of itself, in a kernel that has them.

use super::context::{Context, Outcome};

/// Runs the tests whose names begin as told, or lists all.
#[cfg(feature = "selftest")]
pub fn test(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    use super::context::{Complaint, complain};
    use crate::proc::{self, Priority};
    use crate::selftest;
    use core::fmt::Write;
    use logic::monitor::history::LineText;

    match arguments {
        [] => selftest::names().try_for_each(|name| writeln!(context, "{name}"))?,
        [name] => {
            // What is typed is no longer than a line.
            let beginning = LineText::from(name).unwrap_or_default();
            // In a thread like any other: the prompt's own goes before all.
            let runner = proc::spawn("tests", Priority::NORMAL, move || selftest::run_beginning_with(&beginning));
            let Ok(runner) = runner else { complain!("there is no memory for a thread to run tests in") };
            match runner.join() {
                (0, 0) => complain!("no test's name begins with `{name}`: `test` lists them"),
                (passed, failed) => writeln!(context, "{passed} passed, {failed} failed")?,
            }
        }
        _ => return Err(Complaint::Usage),
    }
    Ok(())
}

/// Says where the tests are.
#[cfg(not(feature = "selftest"))]
pub fn test(_: &mut Context<'_>, _: &[&str]) -> Outcome {
    super::context::complain!(
        "this kernel has no tests in it: `scripts/kernel.sh selftest` builds build/selftest.elf, which has"
    )
}

/// Offers the tests' names.
pub fn offer(offer: &mut dyn FnMut(&str)) {
    #[cfg(feature = "selftest")]
    crate::selftest::names().for_each(offer);
    #[cfg(not(feature = "selftest"))]
    let _ = offer;
}
