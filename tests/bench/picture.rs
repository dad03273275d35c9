//! A picture of the prompt for README: boots the raw image, types some commands at the keyboard and writes what the screen shows.
//!
//! `scripts/picture.sh` runs it.

#[path = "../machine/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the harness serves the machine tests first; a picture needs a part of it")]
mod harness;

use harness::Machine;
use std::env;
use std::path::Path;

const PROMPT: &str = "eres>";
/// What is typed, and a word that the answer ends with.
const COMMANDS: &[(&str, &str)] = &[
    ("cpus", "protections"),
    ("memory", "free"),
    ("threads", "monitor"),
    ("x 0xffffffff80101000 64", "ffffffff80101030"),
];

fn main() {
    let words: Vec<String> = env::args().collect();
    // `cargo test --all-targets` runs benches too, without this word, and only wants to know that they start.
    let Some(path) = words.iter().any(|word| word == "--bench").then(|| words.get(1)).flatten() else { return };
    let mut machine = Machine::raw().cpus(2).boot();
    machine.expect_on_screen(PROMPT);
    for (command, answer) in COMMANDS {
        machine.type_text(&format!("{command}\n"));
        machine.expect_on_screen(answer);
    }
    // The cursor stands behind the last prompt when the answer is complete.
    machine.type_text("h");
    machine.expect_on_screen("eres> h");
    machine.type_text("\x08");
    machine.expect_prompt("eres> ");
    machine.screenshot(Path::new(path));
}
