//! The monitor: the kernel's own prompt, for whoever looks into a running kernel, or into one that has panicked.
//!
//! A thread of its own waits for [`open`], which anything may call, interrupt handlers included: a hot key, ^C where no program
//! gets it, a break on the serial line, or whoever finds that there is nothing else to run. After a panic the prompt runs where the panic was ([`after_panic`]),
//! on input that is asked for in a loop; everything else stands still, and commands take no lock.

mod boot;
mod context;
mod devices;
mod help;
mod log;
mod machine;
mod memory;
mod processors;
mod report;
mod table;
mod terminal;
mod test;
mod threads;
mod time;

pub use boot::{Times, note_ready};

use crate::drivers::input::{self, Attention};
use crate::drivers::tty;
use crate::hw::boot as information;
use crate::hw::lock::Panicking;
use crate::hw::power;
use crate::proc::{self, Priority, wait_until};
use ::log::warn;
use context::{Complaint, Context};
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
use logic::boot::BootInfo;
use logic::monitor::line_editor::{Completer, Event, LineEditor};
use logic::monitor::{suggest, words};
use logic::sync::wait_queue::WaitQueue;
use logic::tty::discipline::Signal;
use spin::Mutex;
use table::{COMMANDS, Command};
use terminal::{Console, Input, PolledConsole, Terminal};

/// Somebody wants the prompt.
static WANTED: AtomicBool = AtomicBool::new(false);
static WAITING: WaitQueue = WaitQueue::new();

/// The line that is typed at the prompt; and at the one after a panic, since the first may be in use then.
static EDITOR: Mutex<LineEditor> = Mutex::new(LineEditor::new("eres> "));
static PANIC_EDITOR: Mutex<LineEditor> = Mutex::new(LineEditor::new("panic> "));

/// Starts the thread that waits for [`open`].
pub fn start(info: &'static BootInfo) {
    input::set_attention_hook(attend);
    tty::set_signal_hook(Some(signalled));
    // Before others, so that it is there when something else takes all the time.
    let monitor = proc::spawn("monitor", Priority::Urgent, move || {
        loop {
            wait_until(&WAITING, None, || WANTED.swap(false, Ordering::AcqRel));
            prompt(&mut Console::open(), &EDITOR, info, None);
        }
    });
    if monitor.is_err() {
        warn!("no memory for the monitor");
    }
}

/// What people ask for past everything else.
fn attend(attention: Attention) {
    match attention {
        Attention::SysRq(_) | Attention::SerialBreak => open(),
        Attention::ControlAltDelete => {
            if !proc::process::tell_init_of_reset_keys() {
                power::reboot();
            }
        }
    }
}

/// Without a program to interrupt, ^C is for the kernel.
fn signalled(signal: Signal) {
    if signal == Signal::Interrupt {
        open();
    }
}

/// Brings the prompt up if it is not there. From any context.
pub fn open() {
    WANTED.store(true, Ordering::Release);
    WAITING.wake_all();
}

/// Whether a panic is to end at the prompt: in debug builds, and where `panic=monitor` asks for it.
pub fn wants_panics() -> bool {
    let asked = information::known().and_then(|info| info.command_line.value("panic"));
    match asked {
        Some(end) => end == "monitor",
        None => cfg!(debug_assertions),
    }
}

/// The prompt after a panic that has said all it had to say. Comes back if whoever types has seen enough.
pub fn after_panic(panicking: &Panicking) {
    if let Some(info) = information::known() {
        prompt(&mut PolledConsole::new(panicking), &PANIC_EDITOR, info, Some(panicking));
    }
}

/// Waits after a panic until somebody types something.
pub fn wait_for_key(panicking: &Panicking) {
    PolledConsole::new(panicking).read();
}

/// Reads lines and runs them, until one leaves.
fn prompt(
    terminal: &mut dyn Terminal,
    editor: &Mutex<LineEditor>,
    info: &'static BootInfo,
    panicking: Option<&Panicking>,
) {
    // In use only if this very loop has panicked.
    let Some(mut editor) = editor.try_lock() else { return };
    terminal.write(b"Type `help` for what can be done here.\n");
    loop {
        let (columns, _) = terminal.size();
        terminal.begin_row();
        editor.begin(columns, &mut |bytes| terminal.write(bytes));
        let event = loop {
            let Input::Byte(byte) = terminal.read_in_row() else {
                editor.redraw(&mut |bytes| terminal.write(bytes));
                continue;
            };
            let event = editor.push(byte, &mut |bytes| terminal.write(bytes), &mut Names);
            if event != Event::Pending {
                break event;
            }
        };
        match event {
            Event::Line => {
                // Who asked for the prompt while it was there has had it.
                WANTED.store(false, Ordering::Release);
                let line = editor.line();
                let mut context = Context::new(terminal, info, panicking);
                if run(&mut context, &line).is_err() {
                    return;
                }
            }
            Event::End => terminal.write(b"`continue` leaves this prompt.\n"),
            Event::Interrupted | Event::Pending => {}
        }
    }
}

/// The prompt is to be left.
struct Leave;

/// Runs a line, and says what is wrong with it if something is.
fn run(context: &mut Context<'_>, line: &str) -> Result<(), Leave> {
    let outcome = match words::split(line) {
        Ok(words) => match words.split_first() {
            Some((name, arguments)) => match find(context, name) {
                Ok(command) => (command.run)(context, arguments).map_err(|complaint| (complaint, Some(command))),
                Err(complaint) => Err((complaint, None)),
            },
            None => Ok(()),
        },
        Err(error) => Err((Complaint::line(format_args!("{error}")), None)),
    };
    // Whoever quits a page that is full of a complaint has read it.
    let _ = match outcome {
        Ok(()) | Err((Complaint::Stopped, _)) => Ok(()),
        Err((Complaint::Leave, _)) => return Err(Leave),
        Err((Complaint::Line(text), _)) => writeln!(context, "{text}"),
        Err((Complaint::Usage, command)) => match command {
            Some(Command { name, synopsis: "", .. }) => writeln!(context, "`{name}` stands alone"),
            Some(Command { name, synopsis, .. }) => writeln!(context, "usage: {name} {synopsis}  (see `help {name}`)"),
            None => Ok(()),
        },
    };
    Ok(())
}

/// The command with that name, if it may run now.
fn find(context: &Context<'_>, name: &str) -> Result<&'static Command, Complaint> {
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(unknown("command", name, COMMANDS.iter().map(|command| command.name), "help"));
    };
    if context.panicking.is_some() && !command.after_panic {
        return Err(Complaint::line(format_args!("`{name}` needs a kernel that runs; `help` lists what works now")));
    }
    Ok(command)
}

/// What is said of a word that is none of `names`: what may have been meant, or where to look.
fn unknown(what: &str, word: &str, names: impl Iterator<Item = &'static str>, see: &str) -> Complaint {
    match suggest::closest(word, names) {
        Some(meant) => Complaint::line(format_args!("unknown {what} `{word}`: did you mean `{meant}`?")),
        None => Complaint::line(format_args!("unknown {what} `{word}`: `{see}` lists them")),
    }
}

/// Completes names of commands, and what they take.
struct Names;

impl Completer for Names {
    fn complete(&mut self, before: &str, offer: &mut dyn FnMut(&str)) {
        let mut words = before.split_whitespace();
        let first = words.next().unwrap_or_default();
        let is_first = words.next().is_none() && !before.ends_with(char::is_whitespace);
        if is_first {
            COMMANDS.iter().for_each(|command| offer(command.name));
        } else if let Some(command) = COMMANDS.iter().find(|command| command.name == first) {
            command.completion.offer(offer);
        }
    }
}
