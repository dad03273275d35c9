//! A running machine: what a test waits for, looks at and types.

use super::bochs::BochsSetup;
use super::gdb;
use super::keys;
use super::picture::{Colour, Picture};
use super::qmp::Qmp;
use super::scratch::Scratch;
use super::screen::{self, Screen, VGA_TEXT_COLUMNS, VGA_TEXT_ROWS, VGA_TEXT_SIZE};
use super::serial::{Line, Miss, Transcript};
use super::setup::Setup;
use super::slots::Slot;
use logic::log_code::{self, Unpacked};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long an expectation waits. Emulation without hardware help, on a busy host, under UEFI, is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// The end of any emulator, whatever becomes of this process.
const LIFETIME_SECONDS: u32 = 600;
const SCREEN_POLL: Duration = Duration::from_millis(200);
/// Between keys: a PS/2 keyboard holds 16 bytes only, and a slow machine must keep up.
const KEY_PAUSE: Duration = Duration::from_millis(20);
/// A held PS/2 key repeats at up to 30 Hz; QEMU leaves that to whoever holds it.
const KEY_REPEAT: Duration = Duration::from_millis(33);

/// From one page of VGA text memory to the next.
const VGA_PAGE_BYTES: usize = 4096;

type Control = Arc<Mutex<Qmp>>;

/// A running QEMU or Bochs. Dropping it ends the emulator and removes its files.
pub struct Machine {
    process: Child,
    command: String,
    serial: Transcript,
    serial_input: Option<ChildStdin>,
    messages: Transcript,
    /// The index of the first serial line that `expect_line` has not passed yet.
    next_line: usize,
    control_path: Option<PathBuf>,
    control: Option<Control>,
    held_keys: Vec<(String, Arc<AtomicBool>)>,
    scratch: Scratch,
    _slot: Slot,
}

/// Ways to begin.
impl Machine {
    /// A raw disk image that starts no programs, on IDE unless told otherwise.
    pub fn raw() -> Setup {
        Setup::raw()
    }

    /// The raw disk image as users have it: it comes to a shell.
    pub fn raw_with_programs() -> Setup {
        Setup::raw_with_programs()
    }

    /// An ISO image that starts no programs, as a CD unless told otherwise.
    pub fn iso() -> Setup {
        Setup::iso()
    }

    /// The ISO image as users have it.
    pub fn iso_with_programs() -> Setup {
        Setup::iso_with_programs()
    }

    /// The kernel without an image, QEMU loads it; it starts no programs.
    pub fn kernel() -> Setup {
        Setup::kernel()
    }

    /// The kernel with another initramfs; it starts no programs.
    pub fn kernel_with(initramfs: &[u8]) -> Setup {
        Setup::kernel_with(initramfs)
    }

    /// The kernel and its initramfs as users have them.
    pub fn kernel_with_programs() -> Setup {
        Setup::kernel_with_programs()
    }

    /// The kernel without an initramfs.
    pub fn kernel_alone() -> Setup {
        Setup::kernel_alone()
    }

    /// Another disk image, on IDE unless told otherwise.
    pub fn image(path: &Path) -> Setup {
        Setup::of_image(path)
    }

    /// A boot sector of the test's own, in NASM's language, on IDE unless told otherwise.
    pub fn sector(source: &str) -> Setup {
        Setup::of_sector(source)
    }

    /// A raw disk image that starts no programs in Bochs.
    pub fn bochs() -> BochsSetup {
        BochsSetup::of_image(image_path("build/monitor.img", "scripts/monitor.sh"))
    }

    /// The raw disk image as users have it in Bochs.
    pub fn bochs_with_programs() -> BochsSetup {
        BochsSetup::of_image(image_path("build/os.img", "scripts/raw.sh"))
    }

    pub(super) fn start_qemu(
        command: Command,
        scratch: Scratch,
        control: PathBuf,
        has_serial: bool,
        held_key: Option<String>,
    ) -> Self {
        let source = if has_serial { SerialSource::Output } else { SerialSource::None };
        let mut machine = Self::start(command, scratch, source, Some(control));
        if let Some(key) = held_key {
            machine.qmp("cont", json!({}));
            machine.hold_key(&key);
        }
        machine
    }

    pub(super) fn start_bochs(command: Command, scratch: Scratch, serial: PathBuf) -> Self {
        Self::start(command, scratch, SerialSource::File(serial), None)
    }

    fn start(emulator: Command, scratch: Scratch, source: SerialSource, control_path: Option<PathBuf>) -> Self {
        let slot = Slot::take();
        // timeout(1) passes a SIGTERM on to its child, follows with SIGKILL, and ends it when its own time is over.
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--kill-after=1", &LIFETIME_SECONDS.to_string()]);
        command.arg(emulator.get_program()).args(emulator.get_args());
        command.envs(emulator.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(scratch.path());
        let follows_output = matches!(source, SerialSource::Output);
        command.stdin(if follows_output { Stdio::piped() } else { Stdio::null() });
        // What is not the serial line's is the emulator's own, or the debug console's.
        let (messages, says) = std::io::pipe().expect("there is room for a pipe");
        command.stdout(if follows_output { Stdio::piped() } else { copy_of(&says) });
        command.stderr(says);

        let started = Instant::now();
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start timeout(1): {error}"));
        // The command holds the pipe's writing end, which would keep it open.
        drop(command);
        let serial = match source {
            SerialSource::None => Transcript::none(started),
            SerialSource::File(path) => Transcript::follow(path, started),
            SerialSource::Output => {
                let output = process.stdout.take().expect("standard output is a pipe");
                Transcript::read(output, started)
            }
        };
        Self {
            serial,
            serial_input: process.stdin.take(),
            messages: Transcript::read(messages, started),
            process,
            command: shell_words(&emulator),
            next_line: 0,
            control_path,
            control: None,
            held_keys: Vec::new(),
            scratch,
            _slot: slot,
        }
    }
}

/// The serial line.
impl Machine {
    /// Waits for a complete serial line that contains `text`, after the one found last, and answers it.
    #[track_caller]
    pub fn expect_line(&mut self, text: &str) -> Line {
        self.expect_line_where(&format!("a serial line with {text:?}"), |line| line.contains(text))
    }

    /// Waits for a complete serial line for which `wanted` holds, after the one found last, and answers it.
    #[track_caller]
    pub fn expect_line_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Line {
        match self.serial.wait_for_line(self.next_line, PATIENCE, &wanted) {
            Ok((index, line)) => {
                self.next_line = index + 1;
                line
            }
            Err(miss) => {
                let earlier = self.serial.lines().iter().take(self.next_line).any(|line| wanted(&line.text));
                let hint = if earlier { " (there was one, before the line found last)" } else { "" };
                self.fail(&format!("{what}{hint}"), miss)
            }
        }
    }

    /// Waits for a complete serial line that contains `text`, found or not found before; whether there is one.
    pub fn comes_to_line(&mut self, text: &str) -> bool {
        self.serial.wait_for_line(0, PATIENCE, |line| line.contains(text)).is_ok()
    }

    /// Waits until the serial line stands still after `text`, as after a prompt; answers when that came, from the emulator's start.
    #[track_caller]
    pub fn expect_prompt(&mut self, text: &str) -> Duration {
        match self.serial.wait_for_prompt(text, PATIENCE) {
            Ok(arrived) => arrived,
            Err(miss) => self.fail(&format!("a serial prompt {text:?}"), miss),
        }
    }

    /// Fails when anything arrives on the serial line within `period`.
    #[track_caller]
    pub fn expect_silence(&mut self, period: Duration) {
        if !self.serial.is_silent_for(period) {
            self.fail(&format!("silence for {period:?}"), Miss::TimedOut);
        }
    }

    /// The first complete serial line so far that contains `text`.
    pub fn line(&self, text: &str) -> Option<String> {
        self.serial.lines().into_iter().map(|line| line.text).find(|line| line.contains(text))
    }

    /// The complete serial lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.serial.lines()
    }

    /// Waits for a message of the emulator's own that contains `text`, such as a traced event.
    #[track_caller]
    pub fn expect_message(&mut self, text: &str) {
        self.expect_message_where(&format!("a message with {text:?}"), |line| line.contains(text));
    }

    /// Waits for a message of the emulator's own for which `wanted` holds.
    #[track_caller]
    pub fn expect_message_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        if let Err(miss) = self.messages.wait_for_line(0, PATIENCE, wanted) {
            self.fail(what, miss);
        }
    }

    /// Everything that the emulator has said itself so far, or the machine on its debug console.
    pub fn messages(&self) -> String {
        self.messages.text()
    }

    /// Everything the serial line has said, escape sequences left out.
    pub fn serial_log(&self) -> String {
        self.serial.text()
    }

    /// Sends `text` to the machine's serial port.
    #[track_caller]
    pub fn send_serial(&mut self, text: &str) {
        let input = self.serial_input.as_mut().expect("this machine's serial port takes no input");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("QEMU reads its serial input");
    }
}

/// The screen.
impl Machine {
    /// What the screen shows now.
    #[track_caller]
    pub fn screen(&mut self) -> Screen {
        self.look().unwrap_or_else(|error| panic!("cannot read the screen: {error}\n{}", self.report()))
    }

    /// Waits until a row of the screen contains `text`, and answers the whole screen.
    #[track_caller]
    pub fn expect_on_screen(&mut self, text: &str) -> Screen {
        self.expect_on_screen_where(&format!("{text:?} on the screen"), |screen| screen.contains(text))
    }

    /// Waits until `wanted` holds for the screen, and answers it.
    #[track_caller]
    pub fn expect_on_screen_where(&mut self, what: &str, wanted: impl Fn(&Screen) -> bool) -> Screen {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.has_exited();
            match self.look() {
                Ok(screen) if wanted(&screen) => return screen,
                _ if ended => self.fail(what, Miss::Closed),
                _ if Instant::now() > deadline => self.fail(what, Miss::TimedOut),
                _ => thread::sleep(SCREEN_POLL),
            }
        }
    }

    /// Waits until the screen shows a QR code of a log, and answers what that says.
    #[track_caller]
    pub fn expect_code(&mut self) -> Unpacked {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.code().map(|text| log_code::unpack(&text)) {
                Some(Ok(unpacked)) => return unpacked,
                Some(Err(error)) => panic!("a QR code says nothing: {error}\n{}", self.report()),
                None if Instant::now() > deadline => self.fail("a QR code on the screen", Miss::TimedOut),
                None => thread::sleep(SCREEN_POLL),
            }
        }
    }

    /// The text of the QR code that the screen shows now.
    #[track_caller]
    pub fn code(&mut self) -> Option<String> {
        self.picture().unwrap_or_else(|error| panic!("cannot read the screen: {error}\n{}", self.report())).code()
    }

    /// The second page of VGA text memory.
    #[track_caller]
    pub fn second_page(&mut self) -> Screen {
        self.text_page(1).unwrap_or_else(|error| panic!("cannot read text memory: {error}\n{}", self.report()))
    }

    /// The colours in a cell of a graphical screen in the small font, the most frequent first.
    #[track_caller]
    pub fn cell_colours(&mut self, column: usize, row: usize) -> Vec<Colour> {
        let picture = self.picture().unwrap_or_else(|error| panic!("cannot read the screen: {error}"));
        screen::cell_colours(&picture, column, row)
    }

    /// Writes the screen to `path` as a PNG picture.
    #[track_caller]
    pub fn screenshot(&mut self, path: &Path) {
        let written = self.picture().and_then(|picture| picture.write_png(path));
        written.unwrap_or_else(|error| panic!("no screenshot: {error}"));
    }

    fn look(&mut self) -> Result<Screen, String> {
        let picture = match self.picture() {
            Ok(picture) => picture,
            Err(error) if error.contains("no console") => return Ok(Screen::none()),
            Err(error) => return Err(error),
        };
        if (picture.width, picture.height) != VGA_TEXT_SIZE {
            return Ok(Screen::from_picture(&picture));
        }
        self.text_page(0)
    }

    /// A page of VGA text memory, shown or not.
    fn text_page(&mut self, number: usize) -> Result<Screen, String> {
        let path = self.scratch.file("text-memory");
        let address = 0xb8000 + number * VGA_PAGE_BYTES;
        let arguments = json!({ "val": address, "size": VGA_TEXT_COLUMNS * VGA_TEXT_ROWS * 2, "filename": path });
        self.try_qmp("pmemsave", arguments)?;
        let memory = fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Screen::from_vga_text(&memory))
    }

    fn picture(&mut self) -> Result<Picture, String> {
        let path = self.scratch.file("screen.ppm");
        self.try_qmp("screendump", json!({ "filename": path }))?;
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        Picture::from_ppm(&bytes)
    }
}

/// The keyboard.
impl Machine {
    /// Types `text` on the PS/2 keyboard, as on a US layout.
    #[track_caller]
    pub fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            let keys = keys::for_character(character).unwrap_or_else(|| panic!("no key for {character:?}"));
            self.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Presses and releases a key or a chord, by QEMU's names: `ret`, `shift-pgup`, `ctrl-alt-delete`.
    #[track_caller]
    pub fn send_key(&mut self, chord: &str) {
        self.press(&keys::chord(chord));
    }

    /// Holds a key down: it repeats, as a real keyboard's does, until `release_key`.
    #[track_caller]
    pub fn hold_key(&mut self, key: &str) {
        let control = self.control().unwrap_or_else(|error| panic!("cannot press {key:?}: {error}"));
        let held = Arc::new(AtomicBool::new(true));
        let (name, still_held) = (key.to_string(), held.clone());
        thread::spawn(move || {
            loop {
                // The flag is looked at under the lock that the release takes, so no press comes after it.
                let mut control = lock(&control);
                if !still_held.load(Ordering::Relaxed)
                    || control.execute("input-send-event", key_event(&name, true)).is_err()
                {
                    break;
                }
                drop(control);
                thread::sleep(KEY_REPEAT);
            }
        });
        self.held_keys.push((key.to_string(), held));
    }

    /// Lets go of a key that is held.
    #[track_caller]
    pub fn release_key(&mut self, key: &str) {
        let index = self.held_keys.iter().position(|(name, _)| name == key);
        let index = index.unwrap_or_else(|| panic!("{key:?} is not held"));
        self.held_keys.swap_remove(index).1.store(false, Ordering::Relaxed);
        self.qmp("input-send-event", key_event(key, false));
    }

    #[track_caller]
    fn press(&mut self, keys: &[&str]) {
        for key in keys {
            self.qmp("input-send-event", key_event(key, true));
        }
        thread::sleep(KEY_PAUSE);
        for key in keys.iter().rev() {
            // A key that ended the machine cannot be let go of any more, which is no failure.
            let _ = self.try_qmp("input-send-event", key_event(key, false));
        }
        thread::sleep(KEY_PAUSE);
    }
}

/// The machine as a whole.
impl Machine {
    /// Runs a QMP command; the QEMU QMP Reference Manual lists them.
    #[track_caller]
    pub fn qmp(&mut self, command: &str, arguments: Value) -> Value {
        self.try_qmp(command, arguments).unwrap_or_else(|error| panic!("{error}\n{}", self.report()))
    }

    /// Writes to physical memory, while the machine stands still for a moment.
    #[track_caller]
    pub fn write_memory(&mut self, address: u64, bytes: &[u8]) {
        let path = self.scratch.file("debugger");
        let written = self.control().and_then(|control| gdb::write_memory(&mut lock(&control), &path, address, bytes));
        written.unwrap_or_else(|error| panic!("cannot write to memory: {error}\n{}", self.report()));
    }

    /// Whether the emulator has ended, by a shutdown or, as nothing may reboot, by a reset.
    pub fn has_exited(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Fails when the machine ends or resets within `period`.
    #[track_caller]
    pub fn expect_stays_up(&mut self, period: Duration) {
        if self.exit_code_within(period).is_some() {
            self.fail("a machine that stays up", Miss::Closed);
        }
    }

    /// Waits for the emulator to end with `code`, as after a write to QEMU's isa-debug-exit device.
    #[track_caller]
    pub fn expect_exit(&mut self, code: i32) {
        match self.exit_code_within(PATIENCE) {
            Some(found) if found == code => {}
            Some(found) => self.fail(&format!("exit code {code}, not {found}"), Miss::Closed),
            None => self.fail(&format!("exit code {code}"), Miss::TimedOut),
        }
    }

    /// Waits for the emulator to end, and answers its exit code; `None` if it goes on for too long.
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        self.exit_code_within(PATIENCE)
    }

    /// The exit code once there is one; an end by signal counts as −1.
    fn exit_code_within(&mut self, period: Duration) -> Option<i32> {
        let deadline = Instant::now() + period;
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(status.code().unwrap_or(-1));
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_qmp(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let control = self.control()?;
        let mut qmp = lock(&control);
        qmp.execute(command, arguments)
    }

    /// The control connection, made when it is first needed: a machine under measurement is left in peace.
    fn control(&mut self) -> Result<Control, String> {
        if self.control.is_none() {
            let path = self.control_path.as_deref().ok_or("this emulator has no control connection")?;
            if !matches!(self.process.try_wait(), Ok(None)) {
                return Err("the emulator has ended".into());
            }
            self.control = Some(Arc::new(Mutex::new(Qmp::connect(path)?)));
        }
        self.control.clone().ok_or_else(|| "no control connection".into())
    }

    #[track_caller]
    fn fail(&mut self, expected: &str, miss: Miss) -> ! {
        let why = match miss {
            Miss::TimedOut => "was not to be had in time",
            Miss::Closed => "cannot come any more: the emulator has ended",
        };
        panic!("{expected} {why}\n{}", self.report());
    }

    /// Everything known about the machine, for the reader of a failure.
    fn report(&mut self) -> String {
        let state = match self.process.try_wait() {
            Ok(None) => "running".to_string(),
            Ok(Some(status)) => format!("ended, {status}"),
            Err(error) => error.to_string(),
        };
        let screen = self.look().map_or_else(|error| format!("({error})\n"), |screen| screen.to_string());
        let (serial, messages) = (self.serial.text(), self.messages.text());
        let command = &self.command;
        format!(
            "--- serial ---\n{serial}\n--- screen ---\n{screen}--- messages ---\n{messages}\n\
             --- emulator ({state}) ---\n{command}\n"
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for (_, held) in &self.held_keys {
            held.store(false, Ordering::Relaxed);
        }
        if !self.has_exited() {
            // SIGTERM, which timeout(1) passes on, rather than `Child::kill`, which would orphan the emulator.
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
        }
        self.serial.close();
    }
}

enum SerialSource {
    None,
    /// The emulator's standard output, with its standard input for the other direction.
    Output,
    File(PathBuf),
}

/// A file that a script builds, by its path from the top of the project; without it the tests cannot begin.
pub fn image_path(name: &str, script: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    assert!(path.exists(), "{name} is missing: run {script} first, or scripts/test.sh, which runs everything");
    path
}

fn copy_of(pipe: &std::io::PipeWriter) -> Stdio {
    pipe.try_clone().expect("a pipe can be shared").into()
}

fn key_event(key: &str, down: bool) -> Value {
    let data = json!({ "down": down, "key": { "type": "qcode", "data": key } });
    json!({ "events": [{ "type": "key", "data": data }] })
}

fn lock(control: &Control) -> std::sync::MutexGuard<'_, Qmp> {
    control.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shell_words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
