//! Cargo's build script: assembles `asm/` with NASM and links it into the kernel, but for the vDSO, which `src/proc/vdso.rs` includes;
//! does nothing for host builds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../src/logic/tty/font.rs"]
#[allow(dead_code, reason = "the messages need one size")]
mod font;

/// Assembled and linked into the kernel, in this order.
const OBJECTS: [&str; 5] = ["entry", "trap", "user", "switch", "smp"];

/// What `asm/entry.asm` can say before Rust runs. Label, text.
const MESSAGES: [(&str, &str); 3] = [
    ("message_not_multiboot2", "E01 Eres was not started by a Multiboot2 loader"),
    ("message_not_64_bit", "E02 Eres needs a 64-bit CPU"),
    ("message_damaged", "E03 kernel damaged"),
];

fn main() {
    println!("cargo::rerun-if-changed=asm");
    println!("cargo::rerun-if-changed=linker.ld");
    println!("cargo::rerun-if-changed=scripts/build.rs");
    println!("cargo::rerun-if-changed=scripts/link.sh");
    println!("cargo::rerun-if-changed=scripts/image/symbols.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    // RUSTFLAGS in the environment replaces all of .cargo/config.toml's, and GRUB refuses a kernel that needs relocation.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    assert!(flags.contains("relocation-model=static"), "unset RUSTFLAGS: the kernel needs those of .cargo/config.toml");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(output.join("messages.inc.asm"), messages()).expect("OUT_DIR is writable");
    assemble(&root, &output, "vdso", "bin", &output.join("vdso.so"));
    for name in OBJECTS {
        let object = output.join(format!("{name}.o"));
        assemble(&root, &output, name, "elf64", &object);
        println!("cargo::rustc-link-arg-bin=kernel={}", object.display());
    }
    println!("cargo::rustc-link-arg-bin=kernel=-T{}", root.join("linker.ld").display());
    println!("cargo::rustc-link-arg-bin=kernel=--no-dynamic-linker");
    println!("cargo::rustc-link-arg-bin=kernel=-zmax-page-size=4096");
}

fn assemble(root: &Path, output: &Path, name: &str, format: &str, object: &Path) {
    let source = format!("asm/{name}.asm");
    let status = Command::new("nasm")
        .current_dir(root)
        .args(["-f", format, "-Werror"])
        .args(["-i", "asm"])
        .arg("-i")
        .arg(output)
        .arg("-o")
        .arg(object)
        .arg(&source)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("nasm {source} ended with {status}"),
        Err(error) => panic!("nasm cannot be run ({error}); scripts/setup.sh installs it"),
    }
}

/// The messages as NASM data: `dd length`, the text, then the text's pixels in the console's own font, row by row.
fn messages() -> String {
    let font = font::Font::new(spleen_font::FONT_8X16).expect("the font of the crate is well formed");
    let mut source = String::from("; Made by scripts/build.rs.\n");
    for (label, text) in MESSAGES {
        source += &format!("align 4\n{label}:\n    dd {}\n    db '{text}'\n", text.len());
        let glyphs: Vec<&[u8]> =
            text.chars().map(|character| font.glyph(character).expect("the font has all of ASCII")).collect();
        for row in 0..16 {
            let bytes: Vec<String> = glyphs.iter().map(|glyph| glyph[row].to_string()).collect();
            source += &format!("    db {}\n", bytes.join(","));
        }
    }
    source
}
