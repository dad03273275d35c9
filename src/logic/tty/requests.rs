//! What programs ask of a terminal (ioctl_tty(2)), the same for all kinds: consoles, pseudo-terminals.

use super::discipline::{ReadPace, Signal, Special, Termios, WindowSize};
use super::job_control::{Access, Caller, HangUp, JobControl, JobSignal};
use crate::errno::Errno;
use crate::fs::UserBytes;
use crate::fs::attributes::DeviceNumber;
use crate::sync::IrqLock;
use linux_raw_sys::{general, ioctl};

/// A terminal, as these requests need it. Nothing is asked with a lock held.
pub trait TerminalDevice: Send + Sync {
    /// Its number, which no other terminal has: what /proc/PID/stat tells of a process's terminal.
    fn device(&self) -> DeviceNumber;

    /// Whether it has been hung up for good: its master was closed.
    fn is_gone(&self) -> bool {
        false
    }

    /// The settings.
    fn termios(&self) -> Termios;

    /// Changes the settings.
    fn set_termios(&self, termios: Termios);

    /// Rows and columns.
    fn window_size(&self) -> WindowSize;

    /// Sets rows and columns; the foreground is told if they have changed.
    fn set_window_size(&self, size: WindowSize);

    /// Bytes that can be read.
    fn available(&self) -> usize;

    /// How long a read that may sleep does.
    fn pace(&self) -> ReadPace;

    /// Forgets what was typed and not read.
    fn flush_input(&self);

    /// Forgets what was written and not shown.
    fn flush_output(&self);

    /// Stops or starts output.
    fn stop_output(&self, stop: bool);

    /// Has the other side stop or start to send.
    fn stop_input(&self, stop: bool);

    /// The session and its foreground.
    fn jobs(&self) -> &IrqLock<JobControl>;
}

/// Who gets the signals of a terminal. Called with no lock held.
pub trait SignalSink: Send + Sync {
    /// To the process group in the foreground.
    fn signal(&self, group: u32, signal: Signal);

    /// The terminal is gone.
    fn hang_up(&self, whom: HangUp);
}

/// What has come of a request that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; the call answers 0.
    Done,
    /// The caller's process group gets the signal, and the call is made again when it goes on.
    Stopped(JobSignal),
    /// The terminal controls the caller's session from now on. Another session may have lost it.
    Acquired(Option<HangUp>),
    /// The caller gave its controlling terminal up; if it leads the session, all of that did.
    GaveUp(Option<HangUp>),
}

/// Who asks, and what is known of process groups.
pub struct Asker<'a> {
    /// The process.
    pub caller: Caller,
    /// The session of a process group, if there is such a group.
    pub session_of: &'a dyn Fn(u32) -> Option<u32>,
}

/// Bytes of `struct termios2`.
const TERMIOS2: usize = size_of::<general::termios2>();

/// Does what `request` asks. `asker` is none at the master's side of a pseudo-terminal, where job control does not apply.
///
/// # Errors
/// As ioctl_tty(2); [`Errno::ENOTTY`] for requests that terminals do not know.
pub fn control(
    terminal: &dyn TerminalDevice,
    asker: Option<&Asker<'_>>,
    request: u32,
    argument: u64,
    memory: &mut dyn UserBytes,
) -> Result<Outcome, Errno> {
    if asker.is_some() && terminal.is_gone() {
        return Err(if request == ioctl::TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
    }
    if changes(request)
        && let Some(asker) = asker
    {
        match terminal.jobs().lock().change(&asker.caller) {
            Access::Granted => {}
            Access::Stopped(signal) => return Ok(Outcome::Stopped(signal)),
            Access::Refused(error) => return Err(error),
        }
    }
    match request {
        ioctl::TCGETS => memory.write(argument, &terminal.termios().to_bytes())?,
        ioctl::TCGETS2 => memory.write(argument, &termios2(&terminal.termios()))?,
        // Output is on its way as soon as it is written: there is nothing to wait for.
        ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETS2 | ioctl::TCSETSW2 => {
            terminal.set_termios(read_termios(argument, memory)?);
        }
        ioctl::TCSETSF | ioctl::TCSETSF2 => {
            let termios = read_termios(argument, memory)?;
            terminal.flush_input();
            terminal.set_termios(termios);
        }
        ioctl::TIOCGWINSZ => memory.write(argument, &terminal.window_size().to_bytes())?,
        ioctl::TIOCSWINSZ => {
            let mut bytes = [0; WindowSize::SIZE];
            memory.read(argument, &mut bytes)?;
            terminal.set_window_size(WindowSize::from_bytes(&bytes));
        }
        ioctl::FIONREAD => write_number(argument, terminal.available(), memory)?,
        ioctl::TIOCOUTQ => write_number(argument, 0, memory)?,
        ioctl::TCSBRK | ioctl::TCSBRKP | ioctl::TIOCSBRK | ioctl::TIOCCBRK => {}
        ioctl::TCXONC => control_flow(terminal, argument)?,
        ioctl::TCFLSH => flush(terminal, argument)?,
        ioctl::TIOCGETD => write_number(argument, 0, memory)?,
        ioctl::TIOCSETD => {
            if read_number(argument, memory)? != 0 {
                return Err(Errno::EINVAL);
            }
        }
        // It lets a process type for others; Linux refuses it too, unless it is told otherwise.
        ioctl::TIOCSTI => return Err(Errno::EIO),
        _ => return control_jobs(terminal, asker, request, argument, memory),
    }
    Ok(Outcome::Done)
}

/// Whether the background must not ask for this.
fn changes(request: u32) -> bool {
    matches!(
        request,
        ioctl::TCSETS
            | ioctl::TCSETSW
            | ioctl::TCSETSF
            | ioctl::TCSETS2
            | ioctl::TCSETSW2
            | ioctl::TCSETSF2
            | ioctl::TCSBRK
            | ioctl::TCSBRKP
            | ioctl::TIOCSBRK
            | ioctl::TIOCCBRK
            | ioctl::TCXONC
            | ioctl::TCFLSH
            | ioctl::TIOCSETD
            | ioctl::TIOCSPGRP
    )
}

/// Sessions and the foreground.
fn control_jobs(
    terminal: &dyn TerminalDevice,
    asker: Option<&Asker<'_>>,
    request: u32,
    argument: u64,
    memory: &mut dyn UserBytes,
) -> Result<Outcome, Errno> {
    let jobs = *terminal.jobs().lock();
    // At the master's side everything is told.
    let is_told = asker.is_none_or(|asker| jobs.controls(&asker.caller));
    match (request, asker) {
        (ioctl::TIOCGPGRP, _) if is_told => write_id(argument, jobs.foreground().unwrap_or(0), memory)?,
        (ioctl::TIOCGSID, _) if is_told => write_id(argument, jobs.session().ok_or(Errno::ENOTTY)?, memory)?,
        (ioctl::TIOCSPGRP, Some(asker)) => {
            let group = u32::try_from(read_number(argument, memory)?).map_err(|_| Errno::EINVAL)?;
            if !is_told {
                return Err(Errno::ENOTTY);
            }
            // Asked before the lock is taken: it may take locks of its own.
            let session = (asker.session_of)(group);
            terminal.jobs().lock().set_foreground(&asker.caller, group, &|_| session)?;
        }
        (ioctl::TIOCSCTTY, Some(asker)) => {
            return terminal.jobs().lock().acquire(&asker.caller, argument == 1).map(Outcome::Acquired);
        }
        (ioctl::TIOCNOTTY, Some(asker)) if is_told => {
            let lost = if asker.caller.leads_session { terminal.jobs().lock().hang_up() } else { None };
            return Ok(Outcome::GaveUp(lost));
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(Outcome::Done)
}

/// `TCXONC`.
fn control_flow(terminal: &dyn TerminalDevice, action: u64) -> Result<(), Errno> {
    match u32::try_from(action) {
        Ok(general::TCOOFF) => terminal.stop_output(true),
        Ok(general::TCOON) => terminal.stop_output(false),
        Ok(general::TCIOFF) => terminal.stop_input(true),
        Ok(general::TCION) => terminal.stop_input(false),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// `TCFLSH`.
fn flush(terminal: &dyn TerminalDevice, what: u64) -> Result<(), Errno> {
    let what = u32::try_from(what).ok().filter(|what| *what <= general::TCIOFLUSH).ok_or(Errno::EINVAL)?;
    if what != general::TCOFLUSH {
        terminal.flush_input();
    }
    if what != general::TCIFLUSH {
        terminal.flush_output();
    }
    Ok(())
}

/// The character that stops or starts the other side, if there is one.
pub fn flow_character(termios: &Termios, stop: bool) -> Option<u8> {
    let special = if stop { Special::Stop } else { Special::Start };
    termios.characters.get(special as usize).copied().filter(|byte| *byte != 0)
}

/// The settings, and both speeds.
fn termios2(termios: &Termios) -> [u8; TERMIOS2] {
    let mut bytes = [0; TERMIOS2];
    let speeds = [termios.speed(); 2].into_iter().flat_map(u32::to_ne_bytes);
    bytes.iter_mut().zip(termios.to_bytes().into_iter().chain(speeds)).for_each(|(slot, byte)| *slot = byte);
    bytes
}

/// Both structures begin with the same; speeds are in the flags as well.
fn read_termios(address: u64, memory: &mut dyn UserBytes) -> Result<Termios, Errno> {
    let mut bytes = [0; Termios::SIZE];
    memory.read(address, &mut bytes)?;
    Ok(Termios::from_bytes(&bytes))
}

/// Reads an `int` of the program's.
pub fn read_number(address: u64, memory: &mut dyn UserBytes) -> Result<i32, Errno> {
    let mut bytes = [0; size_of::<i32>()];
    memory.read(address, &mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}

/// Writes an `int` of the program's.
pub fn write_number(address: u64, number: usize, memory: &mut dyn UserBytes) -> Result<(), Errno> {
    memory.write(address, &i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes())
}

fn write_id(address: u64, id: u32, memory: &mut dyn UserBytes) -> Result<(), Errno> {
    memory.write(address, &id.to_ne_bytes())
}
