//! A transcript: bytes from a pipe or a growing file, split into lines with their arrival times.
//!
//! Escape sequences (UEFI firmware sends many) and other control characters are left out of the lines.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One complete line, without its end.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    /// From the start of the emulator to the line's last byte.
    pub arrived: Duration,
}

/// How a wait ended when it did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    TimedOut,
    /// The other side is gone, nothing more can come.
    Closed,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    unfinished: Vec<u8>,
    /// When the last of `unfinished` came.
    last_arrived: Duration,
    bytes_seen: usize,
    closed: bool,
}

/// What one side has said so far; cloning shares it.
#[derive(Clone)]
pub struct Transcript {
    started: Instant,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Transcript {
    /// Collects everything `source` yields, on a thread that ends with it.
    pub fn read(mut source: impl Read + Send + 'static, started: Instant) -> Self {
        let transcript = Self::empty(started);
        let writer = transcript.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match source.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => writer.append(&buffer[..count]),
                }
            }
            writer.close();
        });
        transcript
    }

    /// Collects what is appended to the file at `path`, which need not exist yet, until `close` is called.
    pub fn follow(path: PathBuf, started: Instant) -> Self {
        let transcript = Self::empty(started);
        let writer = transcript.clone();
        thread::spawn(move || {
            let mut file = None;
            while !writer.state().closed {
                thread::sleep(Duration::from_millis(10));
                if file.is_none() {
                    file = File::open(&path).ok();
                }
                let mut bytes = Vec::new();
                if let Some(Ok(1..)) = file.as_mut().map(|file| file.read_to_end(&mut bytes)) {
                    writer.append(&bytes);
                }
            }
        });
        transcript
    }

    /// Nothing, and nothing to come: for a machine without a serial port.
    pub fn none(started: Instant) -> Self {
        Self::empty(started)
    }

    fn empty(started: Instant) -> Self {
        Self { started, shared: Arc::default() }
    }

    /// Marks the end of the transcript.
    pub fn close(&self) {
        self.state().closed = true;
        self.shared.1.notify_all();
    }

    /// Waits for a complete line for which `wanted` holds, at index `from` or later; answers its index too.
    pub fn wait_for_line(
        &self,
        from: usize,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(usize, Line), Miss> {
        let mut next = from;
        self.wait(limit, |state| {
            let found = state.lines.iter().enumerate().skip(next).find(|(_, line)| wanted(&line.text));
            next = next.max(state.lines.len());
            found.map(|(index, line)| (index, line.clone()))
        })
    }

    /// Waits until the last, unfinished line contains `text`, as a prompt does; answers when its last byte came, or one behind it.
    pub fn wait_for_prompt(&self, text: &str, limit: Duration) -> Result<Duration, Miss> {
        self.wait(limit, |state| printable(&state.unfinished).contains(text).then_some(state.last_arrived))
    }

    /// Whether nothing at all arrives for `period`, from an emulator that runs.
    pub fn is_silent_for(&self, period: Duration) -> bool {
        let before = self.state().bytes_seen;
        self.wait(period, |state| (state.bytes_seen != before).then_some(())) == Err(Miss::TimedOut)
    }

    /// The complete lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.state().lines.clone()
    }

    /// Everything so far, the unfinished line included.
    pub fn text(&self) -> String {
        let state = self.state();
        let mut text: String = state.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        text.push_str(&printable(&state.unfinished));
        text
    }

    fn wait<T>(&self, limit: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Result<T, Miss> {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return Ok(found);
            }
            if state.closed {
                return Err(Miss::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Miss::TimedOut);
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn append(&self, bytes: &[u8]) {
        let arrived = self.started.elapsed();
        let mut state = self.state();
        state.bytes_seen += bytes.len();
        state.last_arrived = arrived;
        for &byte in bytes {
            if byte == b'\n' {
                let text = printable(&std::mem::take(&mut state.unfinished));
                state.lines.push(Line { text, arrived });
            } else {
                state.unfinished.push(byte);
            }
        }
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the transcript readable, which is when it is needed most.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `bytes` as text without escape sequences (ECMA-48 §5.4) and control characters.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut kept = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            if characters.next() == Some('[') {
                // Parameters and intermediates, up to and including the final byte.
                characters.by_ref().find(|next| ('@'..='~').contains(next));
            }
        } else if character == '\t' || !character.is_control() {
            kept.push(character);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn lines_lose_their_ends_and_escape_sequences() {
        let transcript = Transcript::read(&b"\x1b[2J\x1b[01;01HEres OS\r\nready\r\n> "[..], Instant::now());
        let (index, line) = transcript.wait_for_line(0, SOON, |line| line == "Eres OS").expect("first line");
        assert_eq!((index, line.text.as_str()), (0, "Eres OS"));
        transcript.wait_for_prompt("> ", SOON).expect("prompt");
        assert_eq!(transcript.text(), "Eres OS\nready\n> ");
    }

    #[test]
    fn waiting_for_what_never_comes_says_why_it_stopped() {
        let ended = Transcript::read(&b"Eres OS\n"[..], Instant::now());
        assert_eq!(ended.wait_for_line(1, SOON, |_| true).err(), Some(Miss::Closed));
        let quiet = Transcript::none(Instant::now());
        assert_eq!(quiet.wait_for_line(0, Duration::from_millis(1), |_| true).err(), Some(Miss::TimedOut));
        assert!(quiet.is_silent_for(Duration::from_millis(1)));
    }
}
