//! Does to the kernel whatever a program can do to it, as a user without rights. Whoever runs it has to be alive afterwards, and
//! nothing of it left. Each attack runs in children, of which it is counted how they ended; those that hang are killed.
//!
//! `hostile [SEED [NAME ...]]`

mod attacks;
mod elf;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, thread};

/// Nobody's user and group.
const NOBODY: u32 = 65534;
/// What a child has before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers that look random, and are the same for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The next.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
}

/// How children ended.
#[derive(Default)]
pub struct Ends {
    exited: u32,
    killed: u32,
    hung: u32,
}

/// Runs `attack` in a child without rights and waits for it.
pub fn in_child(ends: &mut Ends, attack: impl FnOnce()) {
    // SAFETY: there is one thread.
    match unsafe { libc::fork() } {
        -1 => ends.exited += 1,
        0 => {
            become_nobody();
            attack();
            // SAFETY: it ends the process.
            unsafe { libc::_exit(0) }
        }
        child => wait_for(ends, child),
    }
}

fn become_nobody() {
    // SAFETY: plain system calls; in a group of its own, what is sent to a group reaches nobody else.
    unsafe {
        libc::setpgid(0, 0);
        libc::setgroups(0, std::ptr::null());
        libc::setgid(NOBODY);
        libc::setuid(NOBODY);
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
        libc::setrlimit(libc::RLIMIT_NPROC, &limit);
    }
}

fn wait_for(ends: &mut Ends, child: i32) {
    let deadline = Instant::now() + PATIENCE;
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG | libc::__WALL) } {
            0 if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            0 => {
                ends.hung += 1;
                // SAFETY: the child and all that it has made.
                unsafe {
                    libc::kill(-child, libc::SIGKILL);
                    libc::kill(child, libc::SIGKILL);
                    libc::waitpid(child, &mut status, libc::__WALL);
                }
                return;
            }
            _ if libc::WIFSIGNALED(status) => {
                ends.killed += 1;
                break;
            }
            _ => {
                ends.exited += 1;
                break;
            }
        }
    }
    // What it has left behind.
    // SAFETY: its group.
    unsafe { libc::kill(-child, libc::SIGKILL) };
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let wanted: Vec<String> = arguments.collect();
    for (name, attack) in attacks::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let mut ends = Ends::default();
        attack(&mut ends, &mut Random(seed | 1));
        let Ends { exited, killed, hung } = ends;
        println!("hostile: {name}: {} children, {killed} killed by signals, {hung} hung", exited + killed + hung);
    }
    println!("hostile: done");
    ExitCode::SUCCESS
}
