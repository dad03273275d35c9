//! A private temporary folder for one machine, removed with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, process};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder. Its path is short, because a Unix socket's path may have 107 bytes only (unix(7)).
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        // A folder of that name may be left over from a run that was killed, whose process number came round again.
        let path = loop {
            let name = format!("eres-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot create {}: {error}", path.display()),
            }
        };
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left behind is no reason to fail a test that has passed.
        let _ = fs::remove_dir_all(&self.0);
    }
}
