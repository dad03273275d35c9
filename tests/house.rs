//! The house rules that a machine can check, over the files as they lie in the tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that the top level may have; what builds leave behind is in `.gitignore`.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "PROJECT_STRUCTURE.md",
    "README.md",
    "asm",
    "docs",
    "grub",
    "linker.ld",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scripts",
    "src",
    "tests",
    "user",
];
const BUILT: &[&str] = &["build", "os.iso", "target"];

/// Where `unsafe` may stand. `src/main.rs` has it for the one symbol that the assembly calls.
/// Tests of system calls have theirs in one file.
const UNSAFE_ROOMS: &[&str] =
    &["src/hw/", "src/logic/sync/", "src/main.rs", "user/abi-tests/src/raw.rs", "user/hostile/"];

/// The kernel's rooms, lowest first: a room names none after it.
const ROOMS: &[&str] = &["hw", "drivers", "proc", "syscall", "selftest", "monitor"];

const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `folder`, as its path from the root and its text; not what builds leave behind.
fn files_under(folder: &str, ending: &str) -> Vec<(String, String)> {
    fn visit(path: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(path).expect("a folder of the project can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if BUILT.contains(&name.as_str()) || name == ".git" {
                continue;
            }
            if path.is_dir() { visit(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    visit(&root().join(folder), &mut found);
    found.sort();
    found
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .filter_map(|path| {
            let name = path.strip_prefix(root()).expect("it was found below the root").to_string_lossy().into_owned();
            Some((name, fs::read_to_string(&path).ok()?))
        })
        .collect()
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of Rust or assembly that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with(';'))
}

fn none(rule: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let entries = fs::read_dir(root()).expect("the root can be read");
    let strangers = entries
        .map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()) && !BUILT.contains(&name.as_str()))
        .collect();
    none("not allowed at the top level", strangers);
}

#[test]
fn every_file_says_what_it_is() {
    let mut silent: Vec<String> = files_under("", ".rs")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    silent.extend(
        files_under("asm", ".asm").into_iter().filter(|(_, text)| !text.starts_with("; ")).map(|(name, _)| name),
    );
    none("does not open with a line that says what the file is", silent);
}

#[test]
fn no_room_is_too_long() {
    let long = [files_under("", ".rs"), files_under("", ".asm"), files_under("scripts", ".sh")]
        .concat()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    none("longer than 600 lines", long);
}

#[test]
fn unsafe_stays_in_its_rooms() {
    // Spelt apart, so that this file is not its own offender.
    let word = concat!("un", "safe");
    let strays = files_under("", ".rs")
        .into_iter()
        .filter(|(name, _)| !UNSAFE_ROOMS.iter().any(|room| name.starts_with(room)))
        .flat_map(|(name, text)| {
            let uses = [
                format!("{word} {{"),
                format!("{word} fn"),
                format!("{word} impl"),
                format!("{word}("),
                format!("{word} extern"),
            ];
            let lines: Vec<String> = code(&text)
                .filter(|line| uses.iter().any(|pattern| line.contains(pattern.as_str())))
                .map(|line| format!("{name}: {}", line.trim()))
                .collect();
            lines
        })
        .collect();
    none("unsafe outside its rooms", strays);
}

#[test]
fn rooms_depend_one_way() {
    let mut upward = Vec::new();
    for (height, room) in ROOMS.iter().enumerate().filter(|(_, room)| root().join("src").join(room).is_dir()) {
        for (name, text) in files_under(&format!("src/{room}"), ".rs") {
            for higher in &ROOMS[height + 1..] {
                let names = |line: &str| {
                    let grouped = line.trim_start().starts_with("use crate::{") && line.contains(higher);
                    grouped
                        || ["crate::", "super::super::"].iter().any(|path| line.contains(&format!("{path}{higher}")))
                };
                if code(&text).any(names) {
                    upward.push(format!("{name} names {higher}"));
                }
            }
        }
    }
    none("a lower room names a higher one", upward);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("#[ign", "ore"),
    ];
    let left = [files_under("", ".rs"), files_under("", ".asm"), files_under("scripts", ".sh")]
        .concat()
        .into_iter()
        .filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)))
        .map(|(name, _)| name)
        .collect();
    none("left for later", left);
}

#[test]
fn scripts_stop_at_the_first_error() {
    let careless = files_under("scripts", ".sh")
        .into_iter()
        .chain([(".ci/run".to_owned(), text(".ci/run"))])
        .filter(|(_, text)| !text.starts_with("#!/usr/bin/env bash\n# ") || !text.contains("\nset -euo pipefail\n"))
        .map(|(name, _)| name)
        .collect();
    none("no header, or not `set -euo pipefail`", careless);
}

#[test]
fn the_map_of_the_code_is_complete_and_true() {
    let map = text("PROJECT_STRUCTURE.md");
    let mut missing = Vec::new();
    for (folder, ending) in
        [("src", ".rs"), ("asm", ".asm"), ("scripts", ""), ("tests", ".rs"), ("grub", ""), ("docs", ".md")]
    {
        for (name, _) in files_under(folder, ending) {
            let file = name.rsplit('/').next().unwrap_or_default();
            if !map.contains(&format!("`{name}`")) && !map.contains(&format!("`{file}`")) {
                missing.push(name);
            }
        }
    }
    none("not in PROJECT_STRUCTURE.md", missing);
    // Every path in it that looks like a file's or folder's exists.
    let gone = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/') && !name.contains([' ', '<', '*']) && !name.starts_with("build/"))
        .filter(|name| !root().join(name).exists())
        .map(str::to_owned)
        .collect();
    none("in PROJECT_STRUCTURE.md but not in the tree", gone);
}

#[test]
fn the_readme_has_the_commands_that_must_always_work() {
    let readme = text("README.md");
    for command in [
        "scripts/iso.sh && qemu-system-x86_64 -cdrom os.iso",
        "scripts/raw.sh && qemu-system-x86_64 -drive format=raw,file=build/os.img",
        "scripts/test.sh",
    ] {
        assert!(readme.contains(command), "README.md lacks `{command}`");
    }
}

/// Error codes as they stand in the sources: `E`, two digits, a blank, words.
fn error_codes(text: &str) -> Vec<(String, String)> {
    let mut codes = Vec::new();
    for line in code(text) {
        for quoted in line.split(['"', '\'']).skip(1).step_by(2) {
            let bytes = quoted.as_bytes();
            if bytes.len() > 4 && bytes[0] == b'E' && bytes[1..3].iter().all(u8::is_ascii_digit) && bytes[3] == b' ' {
                codes.push((quoted[..3].to_owned(), quoted[4..].to_owned()));
            }
        }
    }
    codes
}

#[test]
fn every_error_code_is_unique_and_documented() {
    let documented = text("docs/errors.md");
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let sources = [
        files_under("asm", ".asm"),
        files_under("src", ".rs"),
        vec![("scripts/build.rs".into(), text("scripts/build.rs")), ("grub/grub.cfg".into(), text("grub/grub.cfg"))],
    ];
    for (name, text) in sources.concat() {
        for (code, words) in error_codes(&text) {
            assert!(documented.contains(&format!("| {code} |")), "{name}: {code} is not in docs/errors.md");
            if let Some(other) = seen.insert(code.clone(), words.clone()) {
                assert_eq!(other, words, "{code} means two things");
            }
        }
    }
    assert!(seen.len() > 10, "the codes were found: {seen:?}");
    for line in documented.lines().filter(|line| line.starts_with("| E")) {
        let code = line.trim_start_matches("| ").split(' ').next().unwrap_or_default();
        assert!(seen.contains_key(code), "docs/errors.md has {code}, which nothing prints");
    }
}
