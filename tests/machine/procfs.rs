//! What programs see in /proc, by busybox's commands and by themselves, and what the kernel tells who ports programs: the calls
//! that they missed, and traces.
//!
//! Formats are compared with those of the Linux that runs the tests. `user/c-tests/procfs.c`, which also runs on both
//! (`programs`), does what the shell cannot.

use crate::harness::{Machine, Setup, image_path};
use crate::monitor::ask;
use crate::shell::PROMPT;
use crate::{boot_to_ready, boot_to_shell};
use std::fs;
use std::process::Command;

const MEMORY_MIB: u32 = 256;

fn setup() -> Setup {
    let initramfs = image_path("build/tests/initramfs.cpio", "scripts/programs.sh");
    Machine::kernel_with_programs().initramfs(&initramfs).memory_mib(MEMORY_MIB).cpus(2)
}

/// A shell on Eres.
struct Shell(Machine);

impl Shell {
    #[track_caller]
    fn on(setup: Setup) -> Self {
        let mut shell = Self(boot_to_shell(setup));
        // So that it does not break what is typed.
        shell.lines("stty cols 999");
        shell
    }

    /// What a command says, line by line.
    #[track_caller]
    fn lines(&mut self, command: &str) -> Vec<String> {
        ask(&mut self.0, PROMPT, command)
    }

    /// The same as one text.
    #[track_caller]
    fn text(&mut self, command: &str) -> String {
        self.lines(command).join("\n")
    }

    #[track_caller]
    fn number(&mut self, command: &str) -> u64 {
        let text = self.text(command);
        text.trim().parse().unwrap_or_else(|_| panic!("{command} is no number: {text}"))
    }

    /// The same as a user without rights.
    #[track_caller]
    fn as_nobody(&mut self, command: &str) -> String {
        self.text(&format!("su -s /bin/sh nobody -c '{command}' 2>&1"))
    }

    /// Starts a program that says `ready` and goes on; its number.
    #[track_caller]
    fn start(&mut self, command: &str, ready: &str) -> u64 {
        let told = self.number(&format!("{command} >/tmp/started & sleep 0.1; echo $!"));
        while !self.text("cat /tmp/started").contains(ready) {}
        told
    }
}

/// What busybox says on this Linux.
fn on_linux(arguments: &[&str]) -> Vec<String> {
    let busybox = image_path("build/busybox", "scripts/root.sh");
    let output = Command::new(busybox).args(arguments).output().expect("busybox runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn of_linux(path: &str) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// A line with each number as `9`, each gap as one blank.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for character in line.trim().chars() {
        let character = if character.is_ascii_digit() { '9' } else { character };
        if !(matches!(character, '9' | ' ') && shape.ends_with(character)) {
            shape.push(character);
        }
    }
    shape
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Whether all of `part` come in `whole`, in that order.
fn is_part(part: &[String], whole: &[String]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|wanted| whole.any(|found| found == wanted))
}

/// Keys of lines as `key: value`, the blanks before the colon too, each once.
fn keys(lines: &[String]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, _) in lines.iter().filter_map(|line| line.split_once(':')) {
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// The value of the line `key: value`.
#[track_caller]
fn value<'a>(lines: &'a [String], key: &str) -> &'a str {
    let line = lines.iter().find_map(|line| line.split_once(':').filter(|(found, _)| found.trim() == key));
    line.unwrap_or_else(|| panic!("{key} is not in {lines:#?}")).1.trim()
}

#[track_caller]
fn kib(lines: &[String], key: &str) -> u64 {
    let value = value(lines, key);
    value.strip_suffix(" kB").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{key}: {value}"))
}

#[track_caller]
fn number(text: &str) -> u64 {
    text.trim_end_matches(['K', '%']).parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn busybox_tells_of_processes_memory_and_mounts() {
    let mut shell = Shell::on(setup().kernel_arguments("log=info panic=halt"));
    processes_are_listed(&mut shell);
    memory_is_summed_up(&mut shell);
    mounts_are_listed(&mut shell);
    the_machine_is_described(&mut shell);
}

fn processes_are_listed(shell: &mut Shell) {
    let own = shell.text("echo $$");
    let columns = "pid,ppid,pgid,sid,user,group,tty,stat,vsz,rss,nice,comm,args";
    let said = shell.lines(&format!("ps -o {columns}"));
    assert_eq!(shape(&said[0]), shape(&on_linux(&["ps", "-o", columns])[0]));
    let row = |number: &str| said.iter().map(|line| words(line)).find(|row| row[0] == number);
    let of_shell = row(&own).unwrap_or_else(|| panic!("{own} is not in {said:#?}"));
    // Its parent, group, session; who it is; its terminal; that it waits.
    assert_eq!(of_shell[1..8], ["1", &own, &own, "root", "root", "5,1", "S"], "{said:#?}");
    assert_eq!(of_shell[10..], ["0", "sh", "-sh"], "{said:#?}");
    assert!(of_shell[8].parse::<u64>().unwrap() > of_shell[9].parse().unwrap(), "{said:#?}");
    assert_eq!(row("1").map(|row| row[11..].join(" ")), Some("init /init".into()));
    let of_ps = said.iter().map(|line| words(line)).find(|row| row[11] == "ps").expect("ps lists itself");
    assert_eq!((of_ps[1], of_ps[7]), (own.as_str(), "R"));

    let said = shell.lines("top -b -n1");
    let linux = on_linux(&["top", "-b", "-n1"]);
    for index in [0, 1, 2, 3] {
        assert_eq!(shape(&said[index]), shape(&linux[index]), "{said:#?}");
    }
    let shares =
        |line: &str| words(line).iter().filter(|word| word.ends_with('%')).map(|word| number(word)).sum::<u64>();
    // Each of seven is cut.
    assert!((93..=101).contains(&shares(&said[1])), "{said:#?}");
    let rows: Vec<Vec<&str>> = said[4..].iter().map(|line| words(line)).filter(|row| !row.is_empty()).collect();
    assert!(rows.iter().any(|row| row[0] == own && row[7..] == ["-sh"]), "{said:#?}");
    assert!(rows.iter().map(|row| number(row[6])).sum::<u64>() <= 100, "{said:#?}");
    let memory = words(&said[0]);
    let (used, free) = (number(memory[1]), number(memory[3]));
    assert!(used + free <= u64::from(MEMORY_MIB) << 10 && used > 0 && free > 0, "{said:#?}");
}

fn memory_is_summed_up(shell: &mut Shell) {
    let said = shell.lines("free");
    let linux = on_linux(&["free"]);
    assert_eq!(words(&said[0]), words(&linux[0]));
    assert!(said.iter().map(|line| shape(line)).eq(linux.iter().map(|line| shape(line))), "{said:#?}");
    let numbers: Vec<u64> = words(&said[1])[1..].iter().map(|word| number(word)).collect();
    let [total, used, free, _, cached, available] = numbers[..] else { panic!("{said:#?}") };
    let all = u64::from(MEMORY_MIB) << 10;
    assert!(total <= all && total > all / 8 * 7 && used + free + cached == total && available <= total, "{said:#?}");
    let memory = shell.lines("cat /proc/meminfo");
    assert_eq!(kib(&memory, "MemTotal"), total);
    let linux = of_linux("/proc/meminfo");
    assert!(is_part(&keys(&memory), &keys(&linux)), "{:?}", keys(&memory));
    // The columns, too.
    assert_eq!(memory[0].len(), linux[0].len());
    // What is written takes memory.
    shell.lines("dd if=/dev/zero of=/tmp/zeros bs=1M count=40 2>/dev/null");
    let later = shell.lines("cat /proc/meminfo; rm /tmp/zeros");
    assert!(kib(&later, "Shmem") >= kib(&memory, "Shmem") + (40 << 10), "{later:#?}");
    assert!(kib(&later, "MemFree") + (39 << 10) < kib(&memory, "MemFree"), "{later:#?}");
}

fn mounts_are_listed(shell: &mut Shell) {
    let said = shell.lines("mount");
    for line in [
        "tmpfs on / type tmpfs (rw,relatime)",
        "proc on /proc type proc (rw,relatime)",
        "devtmpfs on /dev type devtmpfs (rw,relatime)",
        "devpts on /dev/pts type devpts (rw,relatime)",
        "sysfs on /sys type sysfs (rw,relatime)",
    ] {
        assert!(said.iter().any(|found| found == line), "{line:?} is not in {said:#?}");
    }
    let known = shell.lines("cat /proc/filesystems");
    let kinds: Vec<&str> = said.iter().map(|line| words(line)[4]).collect();
    for kind in kinds.into_iter().chain(["ramfs"]) {
        assert!(known.iter().any(|line| *line == format!("nodev\t{kind}")), "{kind} is not in {known:?}");
    }
    shell.lines("mkdir '/tmp/a b'; mount -t ramfs -o ro,nosuid none '/tmp/a b'");
    let said = shell.lines("cd /proc/self; grep -h ramfs mounts mountinfo; cd; umount '/tmp/a b'; rmdir /tmp/a*");
    assert_eq!(said[0], "none /tmp/a\\040b ramfs ro,nosuid,relatime 0 0");
    assert!(said[1].ends_with("/ /tmp/a\\040b ro,nosuid,relatime - ramfs none rw"), "{said:#?}");
}

fn the_machine_is_described(shell: &mut Shell) {
    assert_eq!(shell.text("cat /proc/cmdline"), "log=info panic=halt");
    for (command, linux) in [("uptime", on_linux(&["uptime"])), ("cat /proc/loadavg", of_linux("/proc/loadavg"))] {
        let tail = |line: &str| shape(line.rsplit_once("load average").map_or(line, |(_, tail)| tail));
        assert_eq!(tail(&shell.text(command)), tail(&linux[0]), "{command}");
    }
    assert_eq!(shape(&shell.text("cat /proc/uptime")), "9.9 9.9");
    let release = shell.text("uname -r");
    assert!(shell.text("cat /proc/version").starts_with(&format!("Linux version {release} (")));
    assert_eq!(shell.text("cat /proc/sys/kernel/osrelease"), release);

    let said = shell.lines("cat /proc/cpuinfo");
    let linux = of_linux("/proc/cpuinfo");
    assert!(is_part(&keys(&said), &keys(&linux)), "{:?}", keys(&said));
    assert_eq!(said.iter().filter(|line| line.starts_with("processor\t: ")).count(), 2);
    assert_eq!(shell.text("nproc; cat /sys/devices/system/cpu/online"), "2\n0-1");
    let (flags, known) = (words(value(&said, "flags")), words(value(&linux, "flags")));
    let common: Vec<&&str> = flags.iter().filter(|flag| known.contains(flag)).collect();
    let wanted: Vec<&&str> = known.iter().filter(|flag| flags.contains(flag)).collect();
    assert!(common == wanted && common.len() > 20, "not in Linux's order: {common:?}");

    let said = shell.lines("cat /proc/stat");
    let first = |lines: &[String]| -> Vec<String> {
        let firsts = lines.iter().filter_map(|line| line.split(' ').next());
        firsts.filter(|word| !word.starts_with("cpu") || *word == "cpu").map(str::to_owned).collect()
    };
    assert!(is_part(&first(&said), &first(&of_linux("/proc/stat"))), "{said:#?}");
    let times = |line: &str| -> Vec<u64> { words(line)[1..].iter().map(|word| number(word)).collect() };
    let (all, one, other) = (times(&said[0]), times(&said[1]), times(&said[2]));
    // Each sum is cut to whole ticks by itself.
    let is_sum = |index: usize| (one[index] + other[index]..=one[index] + other[index] + 1).contains(&all[index]);
    assert!(all.len() == 10 && (0..10).all(is_sum), "{said:#?}");
    // By whole pieces and byte by byte.
    let sums = shell.lines("for n in 1 7 4096; do dd if=/proc/cpuinfo bs=$n 2>/dev/null | md5sum; done");
    assert!(sums.len() == 3 && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

#[test]
fn a_process_is_described() {
    let mut shell = Shell::on(setup());
    memory_is_mapped(&mut shell);
    files_are_linked(&mut shell);
    endings_and_threads_are_told(&mut shell);
}

fn memory_is_mapped(shell: &mut Shell) {
    let own = shell.text("echo $$");
    let said = shell.lines("cat /proc/self/maps /proc/self/stat /proc/self/status");
    let lines = said.iter().position(|line| !line.contains("-") || line.contains(") ")).expect("a line of stat");
    let (maps, rest) = said.split_at(lines);
    let mut sum = 0;
    let mut end_before = 0;
    for line in maps {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let (start, end) = range.unwrap_or_else(|| panic!("{line:?} has no range"));
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("a number"));
        assert!(end_before <= start && start < end, "{maps:#?}");
        (sum, end_before) = (sum + end - start, end);
        assert!(words(line).len() < 6 || line.find(words(line)[5]) == Some(73), "{line:?}");
    }
    for (rights, name) in
        [("r-xp", "/bin/busybox"), ("rw-p", "[heap]"), ("rw-p", "[stack]"), ("r-xp", "[vdso]"), ("r--p", "[vvar]")]
    {
        let is_it = |line: &&String| line.contains(&format!(" {rights} ")) && line.ends_with(&format!(" {name}"));
        assert_eq!(maps.iter().filter(is_it).count(), 1, "{rights} {name}: {maps:#?}");
    }
    assert!(!maps.iter().any(|line| words(line)[1].contains("wx")), "{maps:#?}");

    let fields: Vec<&str> = rest[0].rsplit_once(") ").expect("a name").1.split(' ').collect();
    assert_eq!(fields.len(), 50, "{}", rest[0]);
    for field in &fields[1..] {
        assert!(field.parse::<i64>().is_ok() || field.parse::<u64>().is_ok(), "{field:?} in {}", rest[0]);
    }
    assert!(rest[0].contains(" (cat) R ") && fields[1] == own && fields[3] == own, "{}", rest[0]);
    assert_eq!(fields[20].parse(), Ok(sum));
    let status = &rest[1..];
    assert!(is_part(&keys(status), &keys(&of_linux("/proc/self/status"))), "{:?}", keys(status));
    assert_eq!((value(status, "Name"), value(status, "PPid")), ("cat", own.as_str()));
    assert_eq!((kib(status, "VmSize") << 10, value(status, "State")), (sum, "R (running)"));
    assert!(rest[0].starts_with(&format!("{} (", value(status, "Pid"))));
    let limits = shell.lines("cat /proc/self/limits");
    let names = |lines: &[String]| lines.iter().map(|line| line[..26].to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&limits), names(&of_linux("/proc/self/limits")));
}

fn files_are_linked(shell: &mut Shell) {
    let said = shell.text("cd /usr; NAME='x  y' cat /proc/self/cmdline /proc/self/environ | tr '\\0' '|'; echo; cd");
    assert!(said.starts_with("cat|/proc/self/cmdline|/proc/self/environ|") && said.contains("|NAME=x  y|"), "{said}");
    assert_eq!(shell.text("cat /proc/self/comm /proc/1/comm /proc/$$/comm"), "cat\ninit\nsh");
    let said = shell.lines("cd /usr; for n in cwd exe root; do readlink /proc/self/$n; done; cd");
    assert_eq!(said, ["/usr", "/bin/busybox", "/"]);
    assert_eq!(shell.text("cd /usr; ls -1 /proc/$$/cwd/; ls /proc/1/root/proc/self/; cd").lines().next(), Some("bin"));

    shell.lines("sleep 1000 | cat >/dev/null & echo $! >/tmp/cat");
    while shell.text("cat /proc/$(cat /tmp/cat)/comm; pidof sleep | wc -w") != "cat\n1" {}
    let said = shell.lines("ls -l /proc/$(cat /tmp/cat)/fd; readlink /proc/$(pidof sleep)/fd/1");
    let links: Vec<Vec<&str>> = said.iter().map(|line| words(line)).filter(|row| row.len() > 8).collect();
    let pipe = said.last().map_or("", |line| line.as_str());
    assert!(pipe.starts_with("pipe:[") && links[0][8..] == ["0", "->", pipe], "{said:#?}");
    assert_eq!((links[0][0], links[0][4], links[1][0]), ("lr-x------", "64", "l-wx------"), "{said:#?}");
    assert_eq!((&links[1][8..], &links[2][8..]), (&["1", "->", "/dev/null"][..], &["2", "->", "/dev/console"][..]));
    shell.lines("kill $(pidof sleep); wait 2>/dev/null");
    // Three bytes, then the next: a file has a place to go on from.
    assert_eq!(
        shell
            .text("exec 5</proc/$$/stat; for n in 1 2; do dd bs=3 count=1 <&5 2>/dev/null; done; echo; exec 5<&-")
            .len(),
        6
    );
}

fn endings_and_threads_are_told(shell: &mut Shell) {
    let threads = shell.start("/tests/procfs wait 5", "waits");
    assert_eq!(shell.number(&format!("ls /proc/{threads}/task | wc -l")), 6);
    assert_eq!(shell.text(&format!("grep Threads /proc/{threads}/status")), "Threads:\t6");
    let said = shell.lines(&format!("cat /proc/{threads}/task/*/comm; ls /proc/{threads}/task/{threads} | wc -l"));
    assert!(said[..6] == ["procfs"; 6] && said[6].trim().parse::<u32>().is_ok_and(|count| count > 15), "{said:#?}");
    shell.lines(&format!("kill {threads}; wait 2>/dev/null"));
    assert_eq!(
        shell.text(&format!("cat /proc/{threads}/stat")),
        format!("cat: can't open '/proc/{threads}/stat': No such file or directory")
    );

    shell.lines("sh -c 'true & exec sleep 1001' &");
    while shell.text("ps -o stat,args").lines().all(|line| !line.starts_with('Z')) {}
    let said = shell.lines("ps -o stat,comm,args | grep ^Z; kill $(pidof sleep); wait 2>/dev/null");
    assert_eq!(words(&said[0])[1..], ["sh", "[sh]"], "{said:#?}");

    // A name that could mislead who reads lines.
    shell.lines("cp /tests/procfs \"$(printf '/tmp/a) R 1\\n\\\\')\"");
    let misleading = shell.start("/tmp/a*R* wait 1", "waits");
    let own = shell.text("echo $$");
    let said = shell
        .lines(&format!("cd /proc/{misleading}; cat stat comm; grep Name status; tr '\\0' '|' <cmdline; echo; cd"));
    assert!(said[0] == format!("{misleading} (a) R 1") && said[1].starts_with(&format!("\\) S {own} ")), "{said:#?}");
    assert_eq!(said[2..], ["a) R 1", "\\", "Name:\ta) R 1\\n\\\\", "/tmp/a) R 1", "\\|wait|1|"]);
    let said = shell.text(&format!("ps -o pid,ppid,stat,args | grep '^ *{misleading} '; kill {misleading}"));
    assert!(shape(&said).starts_with("9 9 S {a) R 9") && said.contains(&format!(" {own} S ")), "{said}");
}

#[test]
fn users_do_not_look_into_what_is_not_theirs() {
    let mut shell = Shell::on(setup());
    let own = shell.start("su -s /bin/sh nobody -c 'echo waits; exec sleep 1000'", "waits");
    let dropped = shell.start("/tests/procfs drop", "dropped");
    assert_eq!(
        shell.text(&format!("stat -c %u /proc/{own}/environ /proc/{own} /proc/{dropped}")),
        "65534\n65534\n65534"
    );
    // It acts as nobody, but may still have what root knew.
    assert_eq!(shell.text(&format!("stat -c %u /proc/{dropped}/environ /proc/{dropped}/fd")), "0\n0");
    for other in [1, dropped] {
        for name in ["maps", "environ", "auxv"] {
            let path = format!("/proc/{other}/{name}");
            assert_eq!(shell.as_nobody(&format!("cat {path}")), format!("cat: can't open '{path}': Permission denied"));
            assert!(shell.number(&format!("cat {path} | wc -c")) > 0, "{path}");
        }
        assert!(shell.as_nobody(&format!("ls /proc/{other}/fd")).contains("Permission denied"));
        // Without a complaint: busybox asks of no directory why it came to an end.
        assert_eq!(
            shell.as_nobody(&format!("ls /proc/{other}/fdinfo; cat /proc/{other}/fdinfo/0")).trim(),
            format!("cat: can't open '/proc/{other}/fdinfo/0': Permission denied")
        );
        for name in ["exe", "cwd", "root", "fd/0"] {
            assert_eq!(shell.as_nobody(&format!("readlink /proc/{other}/{name} || echo none")), "none");
        }
        let told = shell.as_nobody(&format!("cd /proc/{other}; cat comm statm stat status cmdline"));
        assert!(told.contains("Name:\t") && !told.contains("Permission denied"), "{told}");
        // Where its memory is, is not told.
        let fields: Vec<&str> =
            told.lines().nth(2).and_then(|line| line.rsplit_once(") ")).expect("stat").1.split(' ').collect();
        assert_eq!(fields[23..26], ["1", "1", "0"], "{told}");
        assert!(shell.as_nobody(&format!("echo 1 >/proc/{other}/oom_score_adj")).contains("Permission denied"));
    }
    assert!(shell.as_nobody(&format!("cat /proc/{own}/maps")).contains("[stack]"));
    assert_eq!(shell.as_nobody(&format!("readlink /proc/{own}/exe; ls /proc/{own}/fdinfo | wc -l")), "/bin/busybox\n3");
    let said = shell
        .as_nobody("echo 7 >/proc/self/oom_score_adj; echo -1 >/proc/self/oom_score_adj; cat /proc/$$/oom_score_adj");
    assert_eq!(said, "sh: write error: Permission denied\n7");
    shell.lines(&format!("kill {own} {dropped}"));
}

#[test]
fn who_is_to_end_first_when_memory_runs_out_does() {
    let mut shell = Shell::on(setup().memory_mib(64));
    let first = shell.start("sh -c 'echo 1000 >/proc/$$/oom_score_adj; echo waits; exec sleep 1000'", "waits");
    let never = shell.start("sh -c 'echo -1000 >/proc/$$/oom_score_adj; echo waits; exec sleep 1001'", "waits");
    assert_eq!(shell.text(&format!("cat /proc/{first}/oom_score /proc/{never}/oom_score")), "1000\n0");
    let said = shell.lines("tail -c 500m /dev/zero; echo $?");
    let ended: Vec<&String> = said.iter().filter(|line| line.contains("out of memory: process ")).collect();
    assert_eq!(ended.len(), 2, "{said:#?}");
    assert!(
        ended[0].contains(&format!("process {first} (sleep) ends")) && ended[1].contains(" (tail) ends"),
        "{said:#?}"
    );
    assert!(said.iter().any(|line| line == "137"), "{said:#?}");
    assert_eq!(shell.text(&format!("cat /proc/{never}/comm")), "sleep");
}

#[test]
fn settings_are_as_programs_expect_them() {
    let mut shell = Shell::on(setup());
    let said = shell.lines("sysctl -a 2>&1");
    assert!(said.iter().all(|line| line.contains(" = ")), "{said:#?}");
    for name in said.iter().filter_map(|line| line.split(" = ").next()) {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        assert!(fs::exists(&path).is_ok_and(|is| is) || name == "kernel.arch", "Linux has no {path}");
    }
    for line in [
        "kernel.ostype = Linux",
        "kernel.hostname = eres",
        "kernel.pid_max = 32768",
        "kernel.ngroups_max = 65536",
        "kernel.overflowuid = 65534",
        "vm.overcommit_memory = 1",
        "net.core.somaxconn = 4096",
    ] {
        assert!(said.iter().any(|found| found == line), "{line:?} is not in {said:#?}");
    }
    assert_eq!(
        shell.text("sysctl -w kernel.hostname=other; hostname; echo eres >/proc/sys/kernel/hostname; hostname"),
        "kernel.hostname = other\nother\neres"
    );
    assert!(shell.text("sysctl -w kernel.pid_max=5 2>&1").contains("ermission denied"));
}

#[test]
fn calls_that_programs_missed_are_counted() {
    let mut shell = Shell::on(setup());
    shell.lines("/tests/procfs call 101 500 500 101 101 9999999");
    assert_eq!(shell.lines("/tests/procfs flag 3"), ["-1 EINVAL"; 3]);
    shell.lines("/tests/procfs name 'a b'; /tests/procfs name \"$(printf 'c\\nd\\\\e\\033')\"");
    let said = shell.lines("cat /proc/eres/syscalls");
    for line in [
        "procfs 101 ptrace ENOSYS 3",
        "procfs 500 unknown ENOSYS 2",
        "procfs 9999999 unknown ENOSYS 1",
        "procfs 293 pipe2 EINVAL 3",
        "a\\x20b 500 unknown ENOSYS 1",
        "c\\nd\\\\e\\x1b 500 unknown ENOSYS 1",
    ] {
        assert!(said.iter().any(|found| found == line), "{line:?} is not in {said:#?}");
    }
    assert!(said.iter().all(|line| words(line).len() == 5), "{said:#?}");
    // Many programs at once, while others read: the table has an end, and counts go on.
    shell.lines("for n in 1 2 3 4; do /tests/procfs crowd 400 & done; for n in 1 2 3 4 5 6 7 8 9; do cat /proc/eres/syscalls >/dev/null; done; wait");
    shell.lines("/tests/procfs call 101");
    let said = shell.lines("cat /proc/eres/syscalls");
    assert_eq!(said.len(), 257, "{said:#?}");
    assert!(said.iter().any(|line| line == "procfs 101 ptrace ENOSYS 4"), "{said:#?}");
    let crowd = said.iter().filter(|line| line.starts_with("crowd"));
    let counted: u64 = crowd.map(|line| number(words(line)[4])).sum();
    let lost = said[256].strip_prefix("and ").and_then(|rest| rest.strip_suffix(" of more programs or calls"));
    // Beside what the programs call before they have names.
    let all = counted + lost.map(number).unwrap_or_else(|| panic!("{}", said[256]));
    assert!((1600..1620).contains(&all), "{all}: {said:#?}");
}

#[test]
fn programs_are_traced_by_name() {
    for name in ["procfs", "/tests/procfs"] {
        let mut shell = Shell::on(setup().kernel_arguments(&format!("syscall.trace={name}")));
        let said = shell.lines("cat /etc/hostname; (exec /tests/procfs call 39 101); true");
        let traced: Vec<&str> = said
            .iter()
            .filter_map(|line| line.split_once(": "))
            .filter(|(id, _)| id.parse::<u32>().is_ok())
            .map(|(_, call)| call)
            .collect();
        let at = |wanted: &str| {
            traced.iter().position(|call| call.starts_with(wanted)).unwrap_or_else(|| panic!("{wanted:?}: {said:#?}"))
        };
        let order =
            [at("brk(0x0) = 0x"), at("getpid() = 0x"), at("ptrace (call 101) = ENOSYS"), at("exit_group(0x0) = 0x0")];
        assert!(order.is_sorted() && order[3] == traced.len() - 1, "{said:#?}");
        assert!(
            traced.iter().any(|call| call.starts_with("write(0x1, 0x") && call.ends_with(", 0xa) = 0xa")),
            "{said:#?}"
        );
        assert!(!traced.iter().any(|call| call.starts_with("open")), "others are traced: {said:#?}");
        assert!(said.iter().any(|line| line == "eres") && said.iter().any(|line| line == "-1 ENOSYS"), "{said:#?}");
        let again = shell.lines("ls / | head -n 1");
        assert_eq!(again, ["bin"], "others are traced");
    }
}

#[test]
fn all_programs_are_traced_or_none() {
    let mut machine = boot_to_ready(setup().kernel_arguments("init=/bin/true syscall.trace=all"));
    machine.expect_line("1: brk(0x0) = 0x");
    machine.expect_line("1: exit_group(0x0) = 0x0");
    machine.expect_prompt(crate::monitor::PROMPT);
    for what in ["", "/"] {
        let mut machine = boot_to_ready(setup().kernel_arguments(&format!("init=/bin/true syscall.trace={what}")));
        machine.expect_line(&format!("warning: syscall.trace={what} names no program"));
        machine.expect_prompt(crate::monitor::PROMPT);
        assert!(machine.line("1: ").is_none(), "{}", machine.serial_log());
    }
}
