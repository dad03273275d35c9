//! The first process. It mounts the file systems that programs expect, keeps a shell on each console, waits for every process that
//! nobody else waits for, and ends the machine's run when it is told to:
//!
//! | signal | sent by | the machine is |
//! |---|---|---|
//! | SIGUSR1 | `halt` | halted |
//! | SIGUSR2 | `poweroff` | switched off |
//! | SIGTERM | `reboot`, and Ctrl-Alt-Del as SIGINT | started again |
//!
//! What busybox's commands of these names do, so that they work unchanged. `/etc/init` may name another command for the consoles.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, WaitOptions, getpid, ioctl_tiocsctty, kill_process_group, setsid, wait};
use rustix::system::{RebootCommand, reboot};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// What is mounted where: kind, place, options.
const MOUNTS: &[(&str, &str, &str)] = &[
    ("proc", "/proc", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", "mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("sysfs", "/sys", ""),
    ("tmpfs", "/tmp", "mode=1777"),
    ("tmpfs", "/run", "mode=0755"),
];

const SIGNALS: [i32; 5] = [SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2];

/// The first argument with which this program becomes the shell of a console, the second.
const AS_SHELL: &str = "--shell-on";
const SHELL: &str = "/bin/sh";
const CONSOLE: &str = "/dev/console";
/// What a shell finds in its environment.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("HOME", "/root"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("SHELL", SHELL),
    ("TERM", "linux"),
    ("USER", "root"),
    ("LOGNAME", "root"),
];
/// A shell that ends sooner than this is started again only after a pause of the same length.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// What processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);

/// A console and the shell on it.
struct Console {
    path: String,
    shell: Option<Pid>,
    started: Instant,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, option, console] = &arguments[..]
        && option == AS_SHELL
    {
        let error = become_shell(console);
        eprintln!("init: no shell on {console}: {error}");
        return ExitCode::FAILURE;
    }
    if getpid() != Pid::INIT {
        eprintln!("init: this is of use as the first process only");
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("init: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All that the first process does. It returns only if it cannot begin.
fn run() -> io::Result<()> {
    // Before any signal can come.
    let signals = SIGNALS.into_iter().map(watch).collect::<io::Result<Vec<_>>>()?;
    for (kind, place, options) in MOUNTS {
        // There already, mostly.
        let _ = fs::create_dir_all(place);
        report(place, mount_one(kind, place, options));
    }
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    if !name.trim().is_empty() {
        report("the host's name", rustix::system::sethostname(name.trim().as_bytes()));
    }
    // Ctrl-Alt-Del is a signal from now on.
    report("Ctrl-Alt-Del", reboot(RebootCommand::CadOff));
    let mut consoles = find_consoles();
    consoles.iter_mut().for_each(Console::start);
    loop {
        for signal in next_signals(&signals)? {
            match signal {
                SIGCHLD => reap(&mut consoles),
                SIGUSR1 => end(RebootCommand::Halt),
                SIGUSR2 => end(RebootCommand::PowerOff),
                _ => end(RebootCommand::Restart),
            }
        }
    }
}

fn report(what: &str, outcome: Result<(), Errno>) {
    if let Err(error) = outcome {
        eprintln!("init: {what}: {error}");
    }
}

fn mount_one(kind: &str, place: &str, options: &str) -> Result<(), Errno> {
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    match mount(kind, place, kind, MountFlags::empty(), Some(options.as_c_str())) {
        // The kernel may have mounted some itself.
        Err(Errno::BUSY) => Ok(()),
        outcome => outcome,
    }
}

/// A pipe that a byte arrives in with every such signal.
fn watch(signal: i32) -> io::Result<OwnedFd> {
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
    signal_hook::low_level::pipe::register(signal, writer)?;
    Ok(reader)
}

/// Waits, and answers which signals have come.
fn next_signals(pipes: &[OwnedFd]) -> io::Result<Vec<i32>> {
    let mut wanted: Vec<PollFd<'_>> = pipes.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
    match poll(&mut wanted, None) {
        Err(Errno::INTR) => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let arrived = wanted.iter().zip(SIGNALS).zip(pipes).filter(|((entry, _), _)| !entry.revents().is_empty());
    let mut signals = Vec::new();
    for ((_, signal), pipe) in arrived {
        let mut bytes = [0; 64];
        while rustix::io::read(pipe, &mut bytes).is_ok_and(|count| count > 0) {}
        signals.push(signal);
    }
    Ok(signals)
}

/// The consoles that the kernel has.
fn find_consoles() -> Vec<Console> {
    let listed = fs::read_to_string("/proc/consoles").unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut paths: Vec<String> =
        names.map(|name| format!("/dev/{name}")).filter(|path| Path::new(path).exists()).collect();
    if paths.is_empty() {
        paths.push(CONSOLE.into());
    }
    let console = |path| Console { path, shell: None, started: Instant::now() };
    paths.into_iter().map(console).collect()
}

impl Console {
    fn start(&mut self) {
        self.started = Instant::now();
        let child = Command::new(own_path()).args([AS_SHELL, &self.path]).spawn();
        match child {
            Ok(child) => self.shell = i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            Err(error) => eprintln!("init: no shell on {}: {error}", self.path),
        }
    }
}

/// Where this program is, by what the kernel has called it, so that there is a shell without `/proc` too.
fn own_path() -> String {
    env::args().next().unwrap_or_else(|| "/init".into())
}

/// Begins a session on the console and runs the shell in it; returns only what prevented that.
fn become_shell(console: &str) -> io::Error {
    let begin = || {
        setsid()?;
        let terminal = OpenOptions::new().read(true).write(true).open(console)?;
        // Opening may have done this already.
        ioctl_tiocsctty(&terminal)?;
        io::Result::Ok(terminal)
    };
    let streams = begin().and_then(|terminal| Ok((terminal.try_clone()?, terminal.try_clone()?, terminal)));
    let (input, output, error) = match streams {
        Ok(streams) => streams,
        Err(error) => return error,
    };
    let mut shell = Command::new(SHELL);
    // A login shell reads /etc/profile.
    shell.arg0("-sh").env_clear().envs(ENVIRONMENT);
    if Path::new("/root").is_dir() {
        shell.current_dir("/root");
    }
    shell.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(error)).exec()
}

/// Waits for all that have ended, and starts shells again.
fn reap(consoles: &mut [Console]) {
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        let Some(console) = consoles.iter_mut().find(|console| console.shell == Some(pid)) else { continue };
        console.shell = None;
        if console.started.elapsed() < SHORT_LIFE {
            thread::sleep(SHORT_LIFE);
        }
        console.start();
    }
}

/// Ends all processes, and the machine's run.
fn end(how: RebootCommand) {
    // As a group, number 1 means everybody: kill(2).
    let _ = kill_process_group(Pid::INIT, Signal::TERM);
    thread::sleep(GRACE);
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    rustix::fs::sync();
    report("the end", reboot(how));
}
