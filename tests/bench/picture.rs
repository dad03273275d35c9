//! A picture of the prompt for README: boots the raw image, types some commands at the shell and writes what the screen shows.
//!
//! `scripts/picture.sh` runs it.

#[path = "../machine/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the harness serves the machine tests first; a picture needs a part of it")]
mod harness;

use harness::Machine;
use std::env;
use std::path::Path;

const PROMPT: &str = "root@eres:~#";
/// What is typed, and a word that the answer ends with.
const COMMANDS: &[(&str, &str)] = &[
    ("uname -a", "GNU/Linux"),
    ("ls -l /", " tmp"),
    ("cat /etc/os-release", "PRETTY_NAME"),
    ("for n in 3 4 5; do echo \"$n squared is $((n * n))\"; done", "5 squared is 25"),
    ("ls /bin | head -200 | xargs", " zcat"),
];

fn main() {
    let words: Vec<String> = env::args().collect();
    // `cargo test --all-targets` runs benches too, without this word, and only wants to know that they start.
    let Some(path) = words.iter().any(|word| word == "--bench").then(|| words.get(1)).flatten() else { return };
    let mut machine = Machine::raw_with_programs().cpus(2).boot();
    machine.expect_on_screen(PROMPT);
    for (command, answer) in COMMANDS {
        machine.type_text(&format!("{command}\n"));
        machine.expect_on_screen(answer);
    }
    // The cursor stands behind the last prompt when the answer is complete.
    machine.type_text("h");
    machine.expect_on_screen("root@eres:~# h");
    machine.type_text("\x08");
    machine.expect_prompt("root@eres:~# ");
    machine.screenshot(Path::new(path));
}
