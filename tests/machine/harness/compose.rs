//! Raw images composed for one test, with another command line, video mode or kernel than the ordinary one.

use super::machine::image_path;
use super::scratch::Scratch;
use std::path::PathBuf;
use std::process::Command;

/// The ordinary kernel.
const KERNEL: &str = "build/kernel.elf";

/// An image that is removed with this value.
pub struct ComposedImage {
    scratch: Scratch,
}

impl ComposedImage {
    /// Composes the parts that `scripts/raw.sh` left in `build/` with further `options` of the tool `image raw`.
    #[track_caller]
    pub fn new(options: &[&str]) -> Self {
        Self::compose((KERNEL, "scripts/raw.sh"), options)
    }

    /// The same with another kernel, one of those that `scripts/kernel.sh selftest debug` builds.
    #[track_caller]
    pub fn of_kernel(name: &str, options: &[&str]) -> Self {
        Self::compose((name, "scripts/kernel.sh selftest debug"), options)
    }

    /// `kernel` is a file and the script that builds it.
    #[track_caller]
    fn compose(kernel: (&str, &str), options: &[&str]) -> Self {
        let image = Self { scratch: Scratch::new() };
        let mut compose = Command::new(env!("CARGO_BIN_EXE_image"));
        compose.arg("raw").args(options);
        compose.arg("--kernel").arg(image_path(kernel.0, kernel.1));
        for (option, name) in [
            ("--sector", "build/sector.bin"),
            ("--stage2", "build/stage2.bin"),
            ("--initramfs", "build/initramfs.cpio"),
        ] {
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
