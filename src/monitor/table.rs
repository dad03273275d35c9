//! All commands, as one table.

use super::context::{Context, Outcome};
use super::{boot, devices, help, log, machine, memory, processors, report, test, threads, time};
use crate::provoke;

/// A command.
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// What it takes: words in capitals stand for something, those in brackets may be missing.
    pub synopsis: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What there is to know about it, for `help NAME`.
    pub text: &'static str,
    /// How its arguments are completed.
    pub completion: Completion,
    /// It may run after a panic: it waits for no lock, and needs nobody else.
    pub after_panic: bool,
    /// Does it, with the words behind the name.
    pub run: fn(&mut Context<'_>, &[&str]) -> Outcome,
}

/// Calls what it is given with each word.
type Offer = fn(&mut dyn FnMut(&str));

/// What arguments can be.
pub enum Completion {
    /// Numbers, or nothing.
    None,
    /// Names of commands.
    Commands,
    /// One of these.
    Words(&'static [&'static str]),
    /// What these offer.
    Offered(Offer),
}

impl Completion {
    /// Offers all that an argument can be.
    pub fn offer(&self, offer: &mut dyn FnMut(&str)) {
        match self {
            Self::None => {}
            Self::Commands => COMMANDS.iter().for_each(|command| offer(command.name)),
            Self::Words(words) => words.iter().for_each(|word| offer(word)),
            Self::Offered(names) => names(offer),
        }
    }
}

/// In the order in which `help` lists them.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        synopsis: "[COMMAND]",
        summary: "what can be done here",
        text: "Lists all commands, or tells all about one.",
        completion: Completion::Commands,
        after_panic: true,
        run: help::help,
    },
    Command {
        name: "boot",
        synopsis: "",
        summary: "how the kernel was started, how fast",
        text: "Shows the loader, the kernel's arguments, display and modules, and the time\n\
               that firmware, loader and kernel took until the kernel was ready.",
        completion: Completion::None,
        after_panic: true,
        run: boot::boot,
    },
    Command {
        name: "report",
        synopsis: "",
        summary: "the machine on a page, to be sent in",
        text: "Tells in few lines what whoever looks for a fault on this machine wants to\n\
               know: kernel, loader, firmware, processor, memory, display, devices, times,\n\
               and what the kernel warned of. Copy it from the serial port, or photograph\n\
               it.",
        completion: Completion::None,
        after_panic: true,
        run: report::report,
    },
    Command {
        name: "memory",
        synopsis: "[map|frames|heap|tables]",
        summary: "physical memory and who has it",
        text: "map     what lies at which physical addresses\n\
               frames  free page frames: blocks of 1 to 1024 frames of 4 KiB, by zone\n\
               heap    what the kernel's own objects take\n\
               tables  every mapping of the address space: r read, w write, x execute,\n        \
               u programs, g global",
        completion: Completion::Words(memory::PARTS),
        after_panic: true,
        run: memory::memory,
    },
    Command {
        name: "address",
        synopsis: "ADDRESS",
        summary: "what an address is, where it leads",
        text: "Tells for a virtual address which part of the kernel's address space it lies\n\
               in, the function if it is code, and how it is mapped; for a physical one\n\
               (p:0x1000) what the memory map says. Addresses of backtraces need no 0x:\n\
               address ffffffff80101234",
        completion: Completion::None,
        after_panic: true,
        run: memory::address,
    },
    Command {
        name: "x",
        synopsis: "ADDRESS [BYTES]",
        summary: "examine memory",
        text: "Shows bytes and characters, 64 of them unless told otherwise. Whatever the\n\
               address, this does no harm: what is not mapped is said to be so, and device\n\
               memory, which reading could change, is not read. p:ADDRESS is a physical\n\
               address. Examples: x 0xffffffff80101000, x p:0x100000 4K",
        completion: Completion::None,
        after_panic: true,
        run: memory::examine,
    },
    Command {
        name: "cpus",
        synopsis: "[features]",
        summary: "processors and what they can",
        text: "Lists the processors and what runs on each. `cpus features` names what CPUID\n\
               tells of this one.",
        completion: Completion::Words(&["features"]),
        after_panic: true,
        run: processors::cpus,
    },
    Command {
        name: "registers",
        synopsis: "",
        summary: "registers that steer the processor",
        text: "Shows what steers this processor (CR0, CR3, CR4, EFER). After a panic that\n\
               an exception led to, shows the registers at the exception too.",
        completion: Completion::None,
        after_panic: true,
        run: processors::registers,
    },
    Command {
        name: "interrupts",
        synopsis: "",
        summary: "how often each interrupt came",
        text: "Shows every vector that has a handler or was raised, and how often it was,\n\
               on all processors together.",
        completion: Completion::None,
        after_panic: false,
        run: processors::interrupts,
    },
    Command {
        name: "threads",
        synopsis: "[ID|all]",
        summary: "threads, and who called whom in one",
        text: "Lists the threads with their priority, what they do, and the processor time\n\
               that they have had. With a number, or `all`, shows where a thread that does\n\
               not run will go on, innermost function first.",
        completion: Completion::Words(&["all"]),
        after_panic: true,
        run: threads::threads,
    },
    Command {
        name: "backtrace",
        synopsis: "",
        summary: "who called whom, here",
        text: "After a panic, shows the functions that led to it. Otherwise, those that led\n\
               to this command.",
        completion: Completion::None,
        after_panic: true,
        run: threads::backtrace,
    },
    Command {
        name: "pci",
        synopsis: "",
        summary: "devices on the PCI buses",
        text: "Lists every function with its address (bus:device.function), maker and number,\n\
               what it is for, and how it interrupts.",
        completion: Completion::None,
        after_panic: true,
        run: devices::pci,
    },
    Command {
        name: "acpi",
        synopsis: "",
        summary: "the firmware's tables, what they told",
        text: "Lists the ACPI tables, and what the kernel learnt from them of interrupts,\n\
               timers, buses and the power button. `x p:ADDRESS BYTES` shows a table that\n\
               lies in memory.",
        completion: Completion::None,
        after_panic: true,
        run: devices::acpi,
    },
    Command {
        name: "log",
        synopsis: "[LEVEL|last]",
        summary: "all that the kernel has said",
        text: "Shows the newest records of the log, 32 KiB of them, up to a level: error,\n\
               warn, info, debug (all that is kept unless the kernel was started with\n\
               log=trace). The console shows those up to log=LEVEL, usually info.\n\
               last    the end of what the last start said, 8 KiB or more, panic and all;\n        \
               memory keeps it over a reset, but not without power",
        completion: Completion::Words(log::ARGUMENTS),
        after_panic: true,
        run: log::log,
    },
    Command {
        name: "qr",
        synopsis: "",
        summary: "the log's end for a phone",
        text: "Shows the newest records of the log, as many as it holds, as a QR code. On the\n\
               machine where Eres was built, `build/image log TEXT` prints what the phone\n\
               reads. Any key brings the text back.",
        completion: Completion::None,
        after_panic: true,
        run: log::code,
    },
    Command {
        name: "uptime",
        synopsis: "",
        summary: "for how long the kernel has run",
        text: "Counts from the kernel's first instruction, by the best counter that this machine has.",
        completion: Completion::None,
        after_panic: true,
        run: time::uptime,
    },
    Command {
        name: "date",
        synopsis: "",
        summary: "date and time of day (UTC)",
        text: "What the real-time clock said when the kernel started, and what has passed\n\
               since. It is taken to be UTC.",
        completion: Completion::None,
        after_panic: true,
        run: time::date,
    },
    Command {
        name: "test",
        synopsis: "[NAME]",
        summary: "the kernel's tests of itself",
        text: "In a kernel that was built with them, runs the tests whose names begin with\n\
               NAME; lists all without one. `scripts/kernel.sh selftest` builds such a\n\
               kernel, build/selftest.elf; started with selftest=monitor it comes to this\n\
               prompt.",
        completion: Completion::Offered(test::offer),
        after_panic: false,
        run: test::test,
    },
    Command {
        name: "provoke",
        synopsis: "FAULT",
        summary: "fail on purpose, to see how it looks",
        text: "Ends in a panic by one of several ways. With panic=monitor among the\n\
               kernel's arguments (and in debug builds) the panic ends at this prompt, else\n\
               the machine stands still.",
        completion: Completion::Offered(provoke::offer),
        after_panic: false,
        run: machine::provoke,
    },
    Command {
        name: "clear",
        synopsis: "",
        summary: "empty the screen",
        text: "Ctrl-L does the same while a line is typed.",
        completion: Completion::None,
        after_panic: true,
        run: machine::clear,
    },
    Command {
        name: "continue",
        synopsis: "",
        summary: "leave this prompt",
        text: "The kernel goes on with whatever it does. Ctrl-C, SysRq or a break on the\n\
               serial line brings the prompt back. After a panic, the machine stands still.",
        completion: Completion::None,
        after_panic: true,
        run: machine::leave,
    },
    Command {
        name: "reboot",
        synopsis: "",
        summary: "reset the machine",
        text: "At once, by the first way that works.",
        completion: Completion::None,
        after_panic: true,
        run: machine::reboot,
    },
    Command {
        name: "poweroff",
        synopsis: "",
        summary: "switch the machine off",
        text: "At once, by the first way that works.",
        completion: Completion::None,
        after_panic: true,
        run: machine::power_off,
    },
];
