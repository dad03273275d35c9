//! What programs may expect of a Linux kernel, call by call. These tests hold on Linux, and must hold on Eres.
//!
//! `abi-tests [NAME ...]` runs the tests whose names contain one of the words, or all. Each runs in a process of its own, in a folder of its
//! own below the working directory. It prints `ok NAME`, `skipped NAME` (without root's rights) or `FAILED NAME: why`.

mod bad_input;
mod calls;
mod directories;
mod files;
mod identity;
mod links;
mod locks;
mod mappings;
mod memory_faults;
mod permissions;
mod pipes;
mod polling;
mod processes;
mod programs;
mod raw;
mod report;
mod signal_delivery;
mod signals;
mod threads;
mod time;

use std::io::Write;
use std::process::ExitCode;

/// How long a test may take, in milliseconds.
const PATIENCE_MS: i32 = 30_000;
/// The descriptor by which a test says what is wrong: one that no test opens.
const REPORT: i32 = 200;
/// Tests of these rooms need root's rights.
const FOR_ROOT: &[&str] = &["permissions"];

type Room = (&'static str, &'static [(&'static str, fn())]);

const ROOMS: &[Room] = &[
    ("files", files::TESTS),
    ("directories", directories::TESTS),
    ("links", links::TESTS),
    ("locks", locks::TESTS),
    ("permissions", permissions::TESTS),
    ("mappings", mappings::TESTS),
    ("memory_faults", memory_faults::TESTS),
    ("processes", processes::TESTS),
    ("programs", programs::TESTS),
    ("threads", threads::TESTS),
    ("signals", signals::TESTS),
    ("signal_delivery", signal_delivery::TESTS),
    ("pipes", pipes::TESTS),
    ("polling", polling::TESTS),
    ("time", time::TESTS),
    ("identity", identity::TESTS),
    ("bad_input", bad_input::TESTS),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = programs::as_another_program(&words) {
        return ExitCode::from(code);
    }
    let is_root = sys!(SYS_geteuid) == 0;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (room, tests) in ROOMS {
        for (test, function) in *tests {
            let name = format!("{room}::{test}");
            if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
                continue;
            }
            if FOR_ROOT.contains(room) && !is_root {
                println!("skipped {name}");
                skipped += 1;
                continue;
            }
            let complaints = run(&name, *function);
            if complaints.is_empty() {
                println!("ok {name}");
                passed += 1;
            } else {
                println!("FAILED {name}: {}", complaints.trim_end().replace('\n', "; "));
                failed += 1;
            }
            let _ = std::io::stdout().flush();
        }
    }
    println!(
        "{passed} passed, {failed} failed{}",
        if skipped > 0 { format!(", {skipped} skipped") } else { String::new() }
    );
    ExitCode::from(u8::from(failed > 0))
}

/// Runs one test, and answers what it complained of.
fn run(name: &str, test: fn()) -> String {
    let mut ends = [0_i32; 2];
    sys!(SYS_pipe2, &mut ends, libc::O_CLOEXEC);
    let folder = format!("abi-{}", name.replace("::", "-"));
    let _ = std::fs::create_dir(&folder);
    let child = raw::fork(|| {
        sys!(SYS_setpgid, 0, 0);
        sys!(SYS_dup3, ends[1], REPORT, libc::O_CLOEXEC);
        sys!(SYS_close, ends[0]);
        sys!(SYS_close, ends[1]);
        report::set_output(REPORT);
        sys!(SYS_umask, 0o022);
        std::env::set_current_dir(&folder).expect("the test has a folder");
        test();
        0
    });
    sys!(SYS_close, ends[1]);
    let mut complaints = Vec::new();
    loop {
        let mut entry = libc::pollfd { fd: ends[0], events: libc::POLLIN, revents: 0 };
        if sys!(SYS_poll, &mut entry, 1, PATIENCE_MS) == 0 {
            complaints.extend_from_slice(b"it takes too long\n");
            break;
        }
        let mut buffer = [0_u8; 4096];
        match sys!(SYS_read, ends[0], &mut buffer, buffer.len()) {
            count @ 1.. => complaints.extend_from_slice(&buffer[..count as usize]),
            _ => break,
        }
    }
    // Whatever it left running, too.
    sys!(SYS_kill, -child, libc::SIGKILL);
    let status = calls::status_of(child);
    // Ended already, or just now.
    let was_killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
    if !libc::WIFEXITED(status) && !was_killed {
        complaints.extend_from_slice(format!("its status is {status:#x}\n").as_bytes());
    }
    sys!(SYS_close, ends[0]);
    let _ = std::fs::remove_dir_all(&folder);
    String::from_utf8_lossy(&complaints).into_owned()
}
