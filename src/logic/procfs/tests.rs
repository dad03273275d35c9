//! Texts as Linux writes them.

use super::*;
use crate::errno::Errno;
use crate::fs::attributes::DeviceNumber;
use crate::fs::fake::{Tree, tmpfs};
use crate::fs::mount::{Mount, MountFlags};
use crate::fs::place::Place;
use crate::fs::synthetic::Output;
use crate::fs::tmpfs::Limits as TmpfsLimits;
use crate::fs::walk::Wanted;
use crate::mem::space::Usage as MemoryUsage;
use crate::process::{Credentials, Limits, Usage};
use machine::{Activity, Memory, Seconds, Times, Uuid};

fn text(write: impl FnOnce(&mut Output) -> Result<(), Errno>) -> String {
    let mut output = Output::new();
    write(&mut output).unwrap();
    String::from_utf8(output.bytes().to_vec()).unwrap()
}

#[test]
fn the_stat_line_has_its_52_fields_each_in_its_place() {
    let usage = |start: u64| Usage {
        user_ns: start * TICK_NS,
        system_ns: (start + 1) * TICK_NS,
        minor_faults: start + 2,
        major_faults: start + 3,
        ..Usage::default()
    };
    let stat = stat::Stat {
        id: 42,
        name: b"a) b\n",
        state: State::Stopped,
        parent: 7,
        group: 41,
        session: 40,
        terminal: Some(DeviceNumber { major: 4, minor: 64 }),
        foreground: Some(43),
        usage: usage(100),
        children: usage(200),
        nice: -5,
        threads: 3,
        started_ns: 5_000_000_000,
        bytes: 8192,
        resident: 1,
        resident_limit: u64::MAX,
        places: stat::Places {
            code: 300..301,
            data: 302..303,
            heap: 304,
            stack: 305,
            arguments: 306..307,
            environment: 308..309,
        },
        signals: [1, 2, 1 << 63 | 4, 8],
        exit_signal: 17,
        processor: 5,
        exit_code: 256,
    };
    let line = text(|output| stat.write(output));
    let (start, rest) = line.rsplit_once(") ").unwrap();
    assert_eq!(start, "42 (a) b\n");
    let mut fields = vec!["42", "(…)"];
    fields.extend(rest.trim_end().split(' '));
    assert_eq!(fields.len(), 52);
    let numbered = [
        (3, "T"),
        (4, "7"),
        (5, "41"),
        (6, "40"),
        (7, "1088"),
        (8, "43"),
        (10, "102"),
        (11, "202"),
        (12, "103"),
        (13, "203"),
        (14, "100"),
        (15, "101"),
        (16, "200"),
        (17, "201"),
        (18, "15"),
        (19, "-5"),
        (20, "3"),
        (22, "500"),
        (23, "8192"),
        (24, "1"),
        (25, "18446744073709551615"),
        (26, "300"),
        (27, "301"),
        (28, "305"),
        (31, "1"),
        (32, "2"),
        (33, "4"),
        (34, "8"),
        (38, "17"),
        (39, "5"),
        (45, "302"),
        (46, "303"),
        (47, "304"),
        (48, "306"),
        (49, "307"),
        (50, "308"),
        (51, "309"),
        (52, "256"),
    ];
    for (number, field) in numbered {
        assert_eq!(fields[number - 1], field, "field {number}");
    }
}

#[test]
fn memory_is_told_in_pages_and_in_kilobytes() {
    let mut usage = MemoryUsage { tables: 3, ..MemoryUsage::default() };
    usage.sizes.total = 10 * 4096;
    usage.sizes.data = 4096;
    usage.sizes.stack = 2 * 4096;
    usage.sizes.code = 4 * 4096;
    usage.resident.anonymous = 2;
    usage.resident.file = 1;
    assert_eq!(text(|output| stat::write_memory(output, &usage)), "10 3 1 4 0 3 0\n");
    let status = status::Status {
        name: b"sh\n\\",
        umask: Some(0o22),
        state: State::Running,
        process: 10,
        id: 11,
        parent: 1,
        group: 9,
        session: 8,
        credentials: &Credentials::root(),
        descriptors: 64,
        memory: Some(usage),
        threads: 2,
        queued: (1, 1000),
        signals: [1, 2, 3, 4, 0x8000_0000_0000_0000],
        processors: 34,
    };
    let told = text(|output| status.write(output));
    for line in [
        "Name:\tsh\\n\\\\\nUmask:\t0022\nState:\tR (running)\nTgid:\t10\nNgid:\t0\nPid:\t11\nPPid:\t1\nTracerPid:\t0\n",
        "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \n",
        "\nVmSize:\t      40 kB\n",
        "\nVmRSS:\t      12 kB\n",
        "\nVmPTE:\t      12 kB\n",
        "\nThreads:\t2\nSigQ:\t1/1000\nSigPnd:\t0000000000000001\n",
        "\nSigCgt:\t8000000000000000\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n",
        "\nCpus_allowed:\t3,ffffffff\nCpus_allowed_list:\t0-33\n",
    ] {
        assert!(told.contains(line), "{line:?} is not in {told}");
    }
    let mut user = Credentials::root();
    user.set_supplementary(vec![20, 10]).unwrap();
    user.set_user(1000).unwrap();
    let ended = status::Status { state: State::Zombie, memory: None, credentials: &user, processors: 1, ..status };
    let told = text(|output| ended.write(output));
    assert!(told.contains("\nGroups:\t10 20 \n") && told.contains("\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n"));
    assert!(told.contains("\nCapEff:\t0000000000000000\n") && !told.contains("Vm"));
}

#[test]
fn limits_are_a_table_with_linux_s_columns() {
    let table = text(|output| limits::write(output, &Limits::new(1000)));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[0], "Limit                     Soft Limit           Hard Limit           Units     ");
    assert_eq!(lines[4], "Max stack size            8388608              unlimited            bytes     ");
    assert_eq!(lines[8], "Max open files            1024                 4096                 files     ");
    assert_eq!(lines[14], "Max nice priority         0                    0                    ");
}

#[test]
fn the_machine_is_told_as_programs_expect_it() {
    let times = [
        Times { user_ns: 3 * TICK_NS, system_ns: 2 * TICK_NS, idle_ns: TICK_NS },
        Times { user_ns: TICK_NS, system_ns: 0, idle_ns: 9 * TICK_NS },
    ];
    let activity = Activity { processors: &times, interrupts: 4, switches: 5, boot_seconds: 1000, made: 6, running: 2 };
    let told = text(|output| activity.write(output));
    let expected = "cpu  4 0 2 10 0 0 0 0 0 0\ncpu0 3 0 2 1 0 0 0 0 0 0\ncpu1 1 0 0 9 0 0 0 0 0 0\n\
                    intr 4\nctxt 5\nbtime 1000\nprocesses 6\nprocs_running 2\nprocs_blocked 0\n";
    assert!(told.starts_with(expected), "{told}");
    let memory = Memory { total: 16384 << 10, free: 1000, ..Memory::default() };
    let told = text(|output| memory.write(output));
    assert!(
        told.starts_with("MemTotal:          16384 kB\nMemFree:               0 kB\nMemAvailable:          0 kB\n")
    );
    assert!(told.lines().all(|line| line.len() == 27), "{told}");
    assert_eq!(Seconds(12_349_999_999).to_string(), "12.34");
    let uuid = Uuid::new([0xff; 16]).to_string();
    assert_eq!(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

const LIMITS: TmpfsLimits = TmpfsLimits { pages: 10, inodes: 10 };

fn mounted(tree: &Tree, path: &str, device: u64, flags: MountFlags) -> Place {
    let at = |path: &str| tree.caller().lookup(path.as_bytes(), Wanted::Target);
    let on = at(path).or_else(|_| tree.caller().make_directory(path.as_bytes(), 0o755)).unwrap();
    let mount = Mount::add(&on, tmpfs(device, tree.frames, LIMITS), flags).unwrap();
    mount.root()
}

#[test]
fn mounts_are_told_as_the_reader_s_root_shows_them() {
    let tree = Tree::new();
    let a = mounted(&tree, "/a b", 258, MountFlags::NOSUID | MountFlags::RDONLY);
    a.mount.set_source(b"/dev/sd a#1");
    mounted(&tree, "/c", 3, MountFlags::empty());
    let inner = mounted(&tree, "/c/d", 4, MountFlags::NODEV | MountFlags::NOEXEC);
    let bound = tree.caller().make_directory(b"/bound", 0o755).unwrap();
    let shown = tree.caller().make_directory(b"/c/shown", 0o755).unwrap();
    Mount::bind(&bound, &shown, MountFlags::empty()).unwrap();
    let told = text(|output| mounts::write_mounts(output, &tree.root));
    let expected = "tmpfs / tmpfs rw,relatime 0 0\n\
                    /dev/sd\\040a\\0431 /a\\040b tmpfs ro,nosuid,relatime 0 0\n\
                    tmpfs /c tmpfs rw,relatime 0 0\n\
                    tmpfs /c/d tmpfs rw,nodev,noexec,relatime 0 0\n\
                    tmpfs /bound tmpfs rw,relatime 0 0\n";
    assert_eq!(told, expected);
    let told = text(|output| mounts::write_mountinfo(output, &tree.root));
    let (first, second) = (tree.root.mount.number(), a.mount.number());
    let line = format!("{second} {first} 1:2 / /a\\040b ro,nosuid,relatime - tmpfs /dev/sd\\040a\\0431 rw\n");
    assert!(told.contains(&line), "{told}");
    assert!(told.contains(" /shown /bound rw,relatime - tmpfs tmpfs rw\n"), "{told}");
    // Who is confined to a mount sees nothing above.
    assert_eq!(text(|output| mounts::write_mounts(output, &inner)), "tmpfs / tmpfs rw,nodev,noexec,relatime 0 0\n");
    // A root within a mount shows that mount, and what lies below the root.
    let root = tree.caller().lookup(b"/c", Wanted::Target).unwrap();
    assert_eq!(text(|output| mounts::write_mounts(output, &root)).lines().count(), 2);
}
