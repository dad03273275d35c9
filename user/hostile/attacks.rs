//! The attacks.

use crate::{Ends, Random, elf, in_child};
use std::arch::asm;
use std::ptr;

type Attack = fn(&mut Ends, &mut Random);

/// All, with their names.
pub const ALL: [(&str, Attack); 7] = [
    ("addresses", addresses),
    ("instructions", instructions),
    ("stacks", stacks),
    ("system-calls", system_calls),
    ("memory", memory),
    ("forks", forks),
    ("programs", elf::programs),
];

/// Addresses that are no program's, or that nothing is at.
const ADDRESSES: [u64; 12] = [
    0,
    0x1000,
    0x7fff_ffff_f000,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0xdead_beef_dead_beef,
    0xffff_7fff_ffff_ffff,
    0xffff_8000_0000_0000,
    0xffff_c000_0000_0000,
    0xffff_ffff_8010_0000,
    0xffff_ffff_ffff_f000,
    u64::MAX - 7,
];

/// Reads, writes and runs what it must not.
fn addresses(ends: &mut Ends, _: &mut Random) {
    for address in ADDRESSES {
        in_child(ends, || {
            // SAFETY: it faults, which is what is wanted.
            unsafe { asm!("mov rax, [{}]", in(reg) address, out("rax") _) };
        });
        in_child(ends, || {
            // SAFETY: as above.
            unsafe { asm!("mov qword ptr [{}], 0", in(reg) address) };
        });
        in_child(ends, || {
            // SAFETY: as above.
            unsafe { asm!("jmp {}", in(reg) address) };
        });
        in_child(ends, || {
            // SAFETY: as above; the stack is not used again.
            unsafe { asm!("mov rsp, {}", "push rax", "call rsp", in(reg) address, options(noreturn)) };
        });
    }
}

macro_rules! instruction {
    ($ends:ident, $($text:literal),+) => {
        in_child($ends, || {
            // SAFETY: whatever it does, it does to this child.
            unsafe { asm!($($text),+, "mov edi, 0", "mov eax, 60", "syscall", options(noreturn)) };
        });
    };
}

/// What only kernels may do, and what shakes the way into one.
fn instructions(ends: &mut Ends, _: &mut Random) {
    instruction!(ends, "hlt");
    instruction!(ends, "cli");
    instruction!(ends, "sti");
    instruction!(ends, "mov rax, cr0");
    instruction!(ends, "mov cr3, rax");
    instruction!(ends, "wrmsr");
    instruction!(ends, "rdmsr");
    instruction!(ends, "lgdt [rsp]");
    instruction!(ends, "lidt [rsp]");
    instruction!(ends, "ltr ax");
    instruction!(ends, "swapgs");
    instruction!(ends, "in al, 0x60");
    instruction!(ends, "mov dx, 0x64", "mov al, 0xfe", "out dx, al");
    instruction!(ends, "int 0x80");
    instruction!(ends, "int 0x0e");
    instruction!(ends, "int 0x08");
    instruction!(ends, "int 0x02");
    instruction!(ends, "int3");
    instruction!(ends, "ud2");
    instruction!(ends, "sysretq");
    instruction!(ends, "iretq");
    instruction!(ends, "push 0x1b", "push 0", "push 0x202", "push 0x23", "push 0", "iretq");
    instruction!(ends, "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop");
    instruction!(ends, "pushfq", "or qword ptr [rsp], 0x100", "popfq", "mov eax, 39", "syscall", "nop");
    instruction!(ends, "pushfq", "or qword ptr [rsp], 0x4000", "popfq", "mov eax, 39", "syscall");
    instruction!(ends, "pushfq", "or qword ptr [rsp], 0x40000", "popfq", "mov rax, [rsp + 1]");
    instruction!(ends, "pushfq", "or qword ptr [rsp], 0x3000", "popfq", "cli");
    instruction!(ends, "std", "mov eax, 39", "syscall");
    instruction!(ends, "mov ax, 0x10", "mov ds, ax", "mov ss, ax");
    instruction!(ends, "mov ax, 0x28", "mov fs, ax", "mov gs, ax", "mov eax, 39", "syscall");
    instruction!(ends, "xor ecx, ecx", "div ecx");
    instruction!(ends, "fninit", "fldcw [rsp]", "fld1", "fldz", "fdivp", "fwait");
}

/// Enters the kernel with stacks and bases that are none.
fn stacks(ends: &mut Ends, _: &mut Random) {
    for address in ADDRESSES {
        in_child(ends, || {
            // SAFETY: the stack is not used again.
            unsafe {
                asm!("mov rsp, {}", "mov eax, 39", "syscall", "mov edi, 0", "mov eax, 60", "syscall", in(reg) address, options(noreturn))
            };
        });
        in_child(ends, || {
            // A handler that must run on such a stack.
            // SAFETY: as above.
            unsafe {
                libc::signal(libc::SIGSEGV, handler as *const () as usize);
                libc::signal(libc::SIGUSR1, handler as *const () as usize);
                let id = libc::getpid();
                asm!("mov rsp, {stack}", "mov eax, 62", "mov esi, 10", "syscall", "mov edi, 0", "mov eax, 60", "syscall",
                    stack = in(reg) address, in("edi") id, options(noreturn))
            };
        });
        in_child(ends, || {
            // Goes back from a handler that there never was.
            // SAFETY: as above.
            unsafe { asm!("mov rsp, {}", "mov eax, 15", "syscall", in(reg) address, options(noreturn)) };
        });
        in_child(ends, || {
            // SAFETY: the bases of FS and GS are refused, or are this child's own affair.
            unsafe {
                libc::syscall(libc::SYS_arch_prctl, 0x1002, address);
                libc::syscall(libc::SYS_arch_prctl, 0x1001, address);
                libc::syscall(libc::SYS_getpid);
                libc::syscall(libc::SYS_exit, 0);
            }
        });
    }
    // The last instruction before the hole in the address space.
    in_child(ends, || {
        let place = 0x7fff_ffff_e000_u64 as *mut libc::c_void;
        // SAFETY: a page of this child's own, run at its end.
        unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            if libc::mmap(place, 4096, rights, flags, -1, 0) != libc::MAP_FAILED {
                ptr::copy_nonoverlapping([0x0f_u8, 0x05].as_ptr(), place.cast::<u8>().add(4094), 2);
                asm!("mov eax, 39", "jmp {}", in(reg) place as u64 + 4094, options(noreturn));
            }
        }
    });
}

extern "C" fn handler(_: i32) {
    // SAFETY: it ends the child.
    unsafe { libc::_exit(0) };
}

/// Every number from 0 to 600 with arguments that may be anything, many times.
fn system_calls(ends: &mut Ends, random: &mut Random) {
    const NUMBERS: u64 = 601;
    const ROUNDS: u64 = 4;
    const CALLS_IN_A_CHILD: u64 = 40;
    let mut number = 0;
    while number < NUMBERS * ROUNDS {
        let first = number;
        let seed = random.number();
        in_child(ends, || {
            // What blocks is ended.
            // SAFETY: a plain system call.
            unsafe { libc::alarm(1) };
            let mut random = Random(seed | 1);
            for number in first..first + CALLS_IN_A_CHILD {
                one_call(number % NUMBERS, &mut random);
            }
        });
        number += CALLS_IN_A_CHILD;
    }
}

fn one_call(number: u64, random: &mut Random) {
    // To end, or to go on as another program, is no attack; SIGALRM must not be put off.
    let harmless =
        [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_alarm, libc::SYS_setitimer, libc::SYS_rt_sigprocmask];
    if harmless.iter().any(|harmless| *harmless as u64 == number) {
        return;
    }
    static mut MEMORY: [u64; 512] = [0; 512];
    let memory = &raw mut MEMORY as u64;
    let mut argument = || match random.below(8) {
        0 => random.below(8),
        1 => random.below(4096),
        2 | 3 => memory + random.below(4000),
        4 => ADDRESSES[random.below(ADDRESSES.len() as u64) as usize],
        5 => u64::MAX - random.below(4),
        6 => 1 << random.below(64),
        _ => random.number(),
    };
    let arguments: [u64; 6] = std::array::from_fn(|_| argument());
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: whatever it does to this child, the child is thrown away.
    unsafe {
        asm!("syscall", inout("rax") number => _, in("rdi") first, in("rsi") second, in("rdx") third, in("r10") fourth,
            in("r8") fifth, in("r9") sixth, out("rcx") _, out("r11") _);
    }
}

/// Takes all memory and addresses that it gets.
fn memory(ends: &mut Ends, _: &mut Random) {
    in_child(ends, || {
        // More than any machine has.
        // SAFETY: maps memory of its own, here and below.
        unsafe { map(1 << 46) };
        unsafe { map(u64::MAX) };
    });
    in_child(ends, || {
        // As many areas as there may be.
        for index in 0..70_000_u64 {
            // SAFETY: as above; every second page has other rights, so that no two become one.
            unsafe {
                let place = (0x1000_0000_0000 + index * 4096) as *mut libc::c_void;
                let rights = if index % 2 == 0 { libc::PROT_READ } else { libc::PROT_NONE };
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                if libc::mmap(place, 4096, rights, flags, -1, 0) == libc::MAP_FAILED {
                    break;
                }
            }
        }
    });
    in_child(ends, || {
        // Touches all that it gets: the kernel ends it.
        for _ in 0..4096 {
            // SAFETY: writes to what was mapped.
            unsafe {
                let start = map(16 << 20);
                if start.is_null() {
                    break;
                }
                for page in 0..4096 {
                    start.add(page * 4096).write_volatile(1);
                }
            }
        }
    });
    in_child(ends, || {
        // A stack without end.
        #[expect(unconditional_recursion, reason = "it is to end by the fault of its stack")]
        fn deeper(depth: u64) -> u64 {
            let room = [depth; 512];
            std::hint::black_box(&room);
            deeper(depth + 1) + room[(depth % 512) as usize]
        }
        deeper(0);
    });
    in_child(ends, || {
        // Descriptors and pipes without end.
        for _ in 0..100_000 {
            let mut pair = [0; 2];
            // SAFETY: the pair is ours.
            if unsafe { libc::pipe(pair.as_mut_ptr()) } != 0 {
                break;
            }
            let bytes = [0_u8; 65536];
            // SAFETY: the bytes are ours; a full pipe takes no more without waiting.
            unsafe { libc::write(pair[1], bytes.as_ptr().cast(), bytes.len()) };
        }
    });
}

/// Maps memory; null if there is none.
///
/// # Safety
/// None is needed: it is new memory.
unsafe fn map(bytes: u64) -> *mut u8 {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: new memory, wherever there is room.
    let start =
        unsafe { libc::mmap(ptr::null_mut(), bytes as usize, rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if start == libc::MAP_FAILED { ptr::null_mut() } else { start.cast() }
}

/// Forks until it may not.
fn forks(ends: &mut Ends, _: &mut Random) {
    in_child(ends, || {
        let mut made = 0;
        // SAFETY: there is one thread; each child forks on, too.
        while unsafe { libc::fork() } >= 0 {
            made += 1;
            if made > 10_000 {
                break;
            }
        }
        // SAFETY: waits for all of its own.
        while unsafe { libc::wait(ptr::null_mut()) } > 0 {}
    });
    in_child(ends, || {
        // Threads by clone(2), each on a stack that is none.
        for _ in 0..1000 {
            let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_FILES | libc::CLONE_FS;
            // SAFETY: threads that fault at once take the child with them.
            if unsafe { libc::syscall(libc::SYS_clone, flags, 0x10, 0, 0, 0) } < 0 {
                break;
            }
        }
    });
}
