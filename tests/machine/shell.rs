//! The system as users have it: init, and a shell at keyboard, screen and serial port, which are one terminal.

use crate::harness::{ComposedImage, Machine, Mode, Setup, image_path};
use crate::monitor::ask;
use crate::{boot_to_ready, boot_to_shell};
use serde_json::json;
use std::time::Duration;

pub const PROMPT: &str = "root@eres:~# ";
const MONITOR: &str = crate::monitor::PROMPT;

/// The quickest way to a shell.
fn machine() -> Setup {
    Machine::kernel_with_programs()
}

/// Types a command at the serial port, and answers what it says until the next prompt.
#[track_caller]
fn shell(machine: &mut Machine, command: &str) -> Vec<String> {
    ask(machine, PROMPT, command)
}

/// Types a command that leaves the prompt, and waits until it has been read.
#[track_caller]
fn enter(machine: &mut Machine, command: &str) {
    machine.expect_prompt(PROMPT);
    machine.send_serial(&format!("{command}\r"));
    machine.expect_line(&format!("{PROMPT}{command}"));
}

#[test]
fn keyboard_screen_and_serial_port_are_one_terminal() {
    for (setup, mode) in
        [(Machine::raw_with_programs(), Mode::Graphics { width: 1024, height: 768 }), (machine(), Mode::VgaText)]
    {
        let mut machine = boot_to_shell(setup);
        assert_eq!(shell(&mut machine, "echo serial $((6 * 7))"), ["serial 42"]);
        let screen = machine.expect_on_screen("serial 42");
        assert_eq!(screen.mode, mode, "{screen}");
        machine.type_text("echo keyboard $((7 * 8)) | tr a-z A-Z\n");
        machine.expect_line_where("the answer", |line| line == "KEYBOARD 56");
        machine.expect_on_screen("KEYBOARD 56");
        assert_eq!(shell(&mut machine, "tty; stty size").len(), 2);
    }
}

#[test]
fn the_shell_finds_its_world() {
    let mut machine = boot_to_shell(machine());
    for (command, answer) in [
        ("id -un; pwd; echo $HOME $TERM", &["root", "/root", "/root linux"][..]),
        ("cat /etc/hostname; hostname", &["eres", "eres"]),
        ("for n in 1 2 3; do echo $n; done | sort -r | head -1", &["3"]),
        ("seq 20000 | awk '{ sum += $1 } END { print sum }'", &["200010000"]),
        // Shorter than a row of the narrowest screen, where the shell would break it.
        ("cd /tmp; echo text >a; cp a b; cat b; rm a; ls; cd", &["text", "b"]),
        ("cat /bin/busybox | cmp - /bin/sh && echo same", &["same"]),
        ("(exit 7); echo $?", &["7"]),
        ("nonsense", &["-sh: nonsense: not found"]),
    ] {
        let said = shell(&mut machine, command);
        assert_eq!(said, answer, "{command}");
    }
}

#[test]
fn a_file_is_edited_by_keys() {
    let mut machine = boot_to_shell(machine());
    machine.type_text("vi /tmp/note\n");
    machine.expect_on_screen("/tmp/note");
    machine.type_text("ifirst line\nsecnd line");
    machine.expect_on_screen("secnd line");
    // Back to the letter that is missing, then to the line above.
    escape(&mut machine);
    machine.type_text("0");
    (0..3).for_each(|_| machine.send_key("right"));
    machine.type_text("io");
    escape(&mut machine);
    machine.expect_on_screen("second line");
    machine.send_key("up");
    machine.type_text("A, with more");
    escape(&mut machine);
    machine.type_text(":wq\n");
    machine.expect_on_screen_where("the prompt at the end", |screen| {
        screen.rows.iter().rev().find(|row| !row.is_empty()).is_some_and(|row| row.starts_with(PROMPT.trim_end()))
    });
    machine.send_serial("\r");
    machine.expect_prompt(PROMPT);
    assert_eq!(shell(&mut machine, "cat /tmp/note"), ["first line, with more", "second line"]);
}

/// Presses Escape, and no key for as long as an editor waits for the rest of a sequence.
#[track_caller]
fn escape(machine: &mut Machine) {
    machine.send_key("esc");
    std::thread::sleep(Duration::from_millis(500));
}

/// Has the shell run what does nothing for long, and waits until that runs: a shell that is editing takes no signals' characters.
#[track_caller]
fn begin_job(machine: &mut Machine) {
    enter(machine, "sh -c 'echo be''gun; exec sleep 1001'");
    machine.expect_line_where("a job that has begun", |line| line == "begun");
}

/// Brings the latest job to the foreground.
#[track_caller]
fn resume(machine: &mut Machine, command: &str) {
    enter(machine, "fg");
    machine.expect_line(command);
    // Nothing tells when the shell has given it the terminal.
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn jobs_are_interrupted_stopped_and_resumed() {
    let mut machine = boot_to_shell(machine());
    begin_job(&mut machine);
    machine.send_serial("\x03");
    assert_eq!(shell(&mut machine, "echo $?"), ["130"]);
    begin_job(&mut machine);
    machine.send_serial("\x1a");
    machine.expect_line("Stopped");
    assert!(shell(&mut machine, "jobs").join("\n").contains("sleep 1001"));
    assert!(shell(&mut machine, "bg").join("\n").contains("sleep 1001"));
    let running = shell(&mut machine, "jobs").join("\n");
    assert!(running.contains("Running") && !running.contains("Stopped"), "{running}");
    // Whose terminal it is not may not read from it.
    shell(&mut machine, "cat &");
    machine.send_serial("\r");
    machine.expect_line_where("a reader that was stopped", |line| line.contains("Stopped") && line.contains("cat"));
    resume(&mut machine, "cat");
    machine.send_serial("typed\r");
    for _ in ["echo", "copy"] {
        machine.expect_line_where("what was typed", |line| line == "typed");
    }
    machine.send_serial("\x04");
    resume(&mut machine, "sleep 1001");
    machine.send_key("ctrl-c");
    assert_eq!(shell(&mut machine, "jobs"), [""; 0]);
}

#[test]
fn lines_are_completed_and_remembered() {
    let mut machine = boot_to_shell(machine());
    for (typed, answer) in [
        ("echo /etc/hostn\t\r", "/etc/hostname"),
        ("\x1b[A\x1b[D | tr a-z A-Z\r", "/ETC/HOSTNAME"),
        ("basena\t/some/file\r", "file"),
    ] {
        machine.expect_prompt(PROMPT);
        machine.send_serial(typed);
        machine.expect_line_where(answer, |line| line == answer);
    }
}

#[test]
fn a_shell_that_ends_is_followed_by_another() {
    let mut machine = boot_to_shell(machine());
    let first = shell(&mut machine, "variable=set; echo $$ $variable");
    machine.expect_prompt(PROMPT);
    machine.send_serial("\x04");
    machine.expect_line(PROMPT);
    let second = shell(&mut machine, "echo $$ $variable");
    assert!(first != second && first[0].ends_with(" set") && !second[0].contains("set"), "{first:?} {second:?}");
}

#[test]
fn the_machine_is_switched_off_and_reset_by_commands() {
    for (command, line) in [("poweroff", "switching off"), ("reboot", "rebooting")] {
        let mut machine = boot_to_shell(machine());
        enter(&mut machine, command);
        machine.expect_line(line);
        machine.expect_exit(0);
    }
}

#[test]
fn the_keys_that_reset_are_a_signal_to_init() {
    let mut machine = boot_to_shell(machine());
    enter(&mut machine, "trap 'echo $((6*7)) ends' TERM; echo $((7*8)); while :; do :; done");
    machine.expect_line_where("the answer", |line| line == "56");
    machine.send_key("ctrl-alt-delete");
    machine.expect_line("42 ends");
    machine.expect_line("init asks for a reset");
    machine.expect_line("rebooting");
    machine.expect_exit(0);
}

#[test]
fn the_initramfs_is_free_memory_once_it_is_unpacked() {
    let mut machine = boot_to_shell(Machine::kernel_with_programs().kernel_arguments("log=debug"));
    let told = machine.line("initramfs: ").expect("it is told");
    let kib = told
        .strip_prefix("debug: initramfs: ")
        .and_then(|rest| rest.strip_suffix(" KiB of the archive are free memory"));
    let archive = std::fs::metadata(image_path("build/initramfs.cpio", "scripts/kernel.sh")).expect("it is there");
    assert_eq!(kib.and_then(|kib| kib.parse().ok()), Some(archive.len() / 1024), "{told}");
    // It is taken again, and nothing that was unpacked from it changes.
    let sum = "md5sum /bin/busybox /init";
    let before = ask(&mut machine, PROMPT, sum);
    ask(&mut machine, PROMPT, "dd if=/dev/zero of=/tmp/much bs=1M count=64");
    assert_eq!(ask(&mut machine, PROMPT, sum), before);
    assert!(before.len() == 2 && before[0].ends_with("/bin/busybox"), "{before:?}");
}

#[test]
fn the_monitor_opens_over_the_shell_and_goes_again() {
    let mut machine = boot_to_shell(machine().cpus(2));
    for by_key in [true, false] {
        // Half a command, which waits.
        machine.send_serial("echo one");
        machine.expect_prompt("echo one");
        if by_key {
            machine.send_key("alt-sysrq-h");
        } else {
            machine.qmp("chardev-send-break", json!({ "id": "serial0" }));
        }
        assert!(ask(&mut machine, MONITOR, "uptime").iter().any(|line| line.starts_with("up ")));
        machine.send_serial("continue\r");
        machine.expect_line("eres> continue");
        std::thread::sleep(Duration::from_millis(300));
        machine.send_serial(" two\r");
        machine.expect_line_where("the whole command's answer", |line| line == "one two");
        machine.expect_prompt(PROMPT);
    }
}

#[test]
fn a_panic_shows_over_a_shell_and_over_an_editor() {
    for editor in [false, true] {
        let mut machine = boot_to_shell(machine().cpus(2));
        if editor {
            machine.type_text("vi /etc/passwd\n");
            machine.expect_on_screen("nobody:");
        }
        machine.send_key("alt-sysrq-h");
        machine.expect_prompt(MONITOR);
        machine.send_serial("provoke deep\r");
        machine.expect_line("kernel panic at src/provoke.rs:");
        machine.expect_line("  provoked five calls deep");
        machine.expect_line(" context_start+0x");
        machine.expect_on_screen(" context_start+0x");
        machine.expect_stays_up(Duration::from_millis(500));
    }
}

#[test]
fn another_program_may_be_the_first() {
    let mut machine = boot_to_ready(machine().kernel_arguments("init=/bin/sh"));
    machine.expect_prompt("/ # ");
    assert_eq!(ask(&mut machine, "/ # ", "echo $$"), ["1"]);
    // When it has ended, there is the kernel's own prompt.
    machine.send_serial("exit\r");
    machine.expect_prompt(MONITOR);
}

#[test]
fn programs_read_the_kernels_log() {
    let mut machine = boot_to_shell(machine());
    let mut shell = |command: &str| shell(&mut machine, command);
    let log = shell("dmesg");
    assert!(log[0].starts_with("Eres OS ") && log.contains(&"ready".into()), "{log:?}");
    assert_eq!(shell("dmesg -r | grep ready"), ["<6>ready"]);
    // Read on from the beginning, by one who waits.
    assert_eq!(shell("syslogd -O /tmp/messages; klogd; sleep 1"), [""; 0]);
    assert_eq!(shell("grep -c 'kernel: Eres OS ' /tmp/messages"), ["1"]);
    // Another level on the console is another in the log, too; nothing is lost.
    assert_eq!(shell("dmesg -n 4; echo two >/dev/kmsg"), [""; 0]);
    assert_eq!(shell("until grep -q 'kernel: two' /tmp/messages; do sleep 0.1; done"), [""; 0]);
    assert_eq!(shell("dmesg -n 8; echo three >/dev/kmsg"), ["three"]);
    assert_eq!(shell("killall klogd; dmesg -c | tail -n 1"), ["three"]);
    assert_eq!(shell("dmesg"), [""; 0]);
    assert_eq!(shell("echo four >/dev/kmsg; dmesg"), ["four", "four"]);
    let refused = "dmesg: klogctl: Operation not permitted";
    assert_eq!(shell("su -s /bin/sh nobody -c 'dmesg; dmesg -c'"), ["four", refused]);
}

#[test]
fn the_first_program_may_go_to_another_root() {
    const OTHER: &str = "other # ";
    let mut machine = boot_to_ready(machine().kernel_arguments("init=/bin/sh"));
    for command in [
        "mkdir /new && mount -t tmpfs new /new && mkdir /new/bin /new/dev /new/proc",
        "cp /bin/busybox /new/bin && mount -t devtmpfs dev /new/dev",
    ] {
        assert_eq!(ask(&mut machine, "/ # ", command), [""; 0], "{command}");
    }
    machine.expect_prompt("/ # ");
    machine.send_serial("export PS1='other # '; exec switch_root -c /dev/console /new /bin/busybox sh\r");
    machine.expect_prompt(OTHER);
    assert_eq!(ask(&mut machine, OTHER, "echo $$ /*"), ["1 /bin /dev /proc"]);
    assert_eq!(ask(&mut machine, OTHER, "busybox mount -t proc proc /proc"), [""; 0]);
    // What was there before is nowhere any more.
    assert_eq!(ask(&mut machine, OTHER, "busybox cut -d ' ' -f 1,2 /proc/mounts"), ["new /", "dev /dev", "proc /proc"]);
    assert_eq!(ask(&mut machine, OTHER, "busybox mount --move /dev /proc; echo $? /dev/*"), ["0 /dev/*"]);
}

#[test]
fn without_programs_the_monitor_is_there() {
    boot_to_ready(Machine::kernel_alone()).expect_prompt(MONITOR);
    let image = ComposedImage::with_programs(&["--command-line", "init=/no/such/file"]);
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    machine.expect_line("warning: no init: ");
    machine.expect_prompt(MONITOR);
}
