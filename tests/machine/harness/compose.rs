//! Raw images composed for one test, with another command line, video mode or kernel than the ordinary one.

use super::machine::image_path;
use super::scratch::Scratch;
use super::setup::NO_PROGRAMS;
use std::path::PathBuf;
use std::process::Command;

/// The ordinary kernel.
const KERNEL: &str = "build/kernel.elf";

/// Files without programs, and with them.
const FILES: (&str, &str) = ("build/files.cpio", "scripts/monitor.sh");
const PROGRAMS: (&str, &str) = ("build/initramfs.cpio", "scripts/raw.sh");

/// An image that is removed with this value.
pub struct ComposedImage {
    scratch: Scratch,
}

impl ComposedImage {
    /// Composes the parts that `scripts/raw.sh` left in `build/` with further `options` of the tool `image raw`. It starts no
    /// programs.
    #[track_caller]
    pub fn new(options: &[&str]) -> Self {
        Self::compose((KERNEL, "scripts/raw.sh"), FILES, &without_programs(options))
    }

    /// The same with another kernel, one of those that `scripts/kernel.sh selftest debug` builds.
    #[track_caller]
    pub fn of_kernel(name: &str, options: &[&str]) -> Self {
        Self::compose((name, "scripts/kernel.sh selftest debug"), FILES, &without_programs(options))
    }

    /// One that starts programs, as users have them.
    #[track_caller]
    pub fn with_programs(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Self::compose((KERNEL, "scripts/raw.sh"), PROGRAMS, &options)
    }

    /// `kernel` and `initramfs` are files and the scripts that build them.
    #[track_caller]
    fn compose(kernel: (&str, &str), initramfs: (&str, &str), options: &[String]) -> Self {
        let image = Self { scratch: Scratch::new() };
        let mut compose = Command::new(env!("CARGO_BIN_EXE_image"));
        compose.arg("raw").args(options);
        compose.arg("--kernel").arg(image_path(kernel.0, kernel.1));
        compose.arg("--initramfs").arg(image_path(initramfs.0, initramfs.1));
        for (option, name) in [("--sector", "build/sector.bin"), ("--stage2", "build/stage2.bin")] {
            compose.arg(option).arg(image_path(name, "scripts/raw.sh"));
        }
        let output = compose.arg("--output").arg(image.path()).output().expect("image runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        image
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.scratch.file("composed.img")
    }
}

/// `options` with one more word at the beginning of the command line.
fn without_programs(options: &[&str]) -> Vec<String> {
    const COMMAND_LINE: &str = "--command-line";
    let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let given = options.iter().position(|option| option == COMMAND_LINE).and_then(|at| options.get_mut(at + 1));
    match given {
        Some(line) => *line = format!("{NO_PROGRAMS} {line}"),
        None => options.extend([COMMAND_LINE.to_owned(), NO_PROGRAMS.to_owned()]),
    }
    options
}
