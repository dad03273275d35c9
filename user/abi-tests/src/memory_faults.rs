//! What programs are told of memory they may not use: SIGSEGV and SIGBUS, with their particulars; other exceptions.

use crate::calls::{NOWHERE, create, exited, in_child, memory, write};
use crate::raw::{Info, info, on_signal, read_byte, write_byte};
use crate::{holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    nothing_mapped_is_told_with_its_address,
    a_wrong_access_is_told_with_its_address,
    addresses_that_cannot_be_are_told,
    beyond_a_files_end_is_a_bus_error,
    a_file_that_shrinks_is_a_bus_error,
    the_stack_grows,
    the_stack_does_not_grow_for_ever,
    a_handler_repairs_and_the_access_goes_on,
    division_by_zero,
    undefined_and_privileged_instructions,
    breakpoints,
    blocked_faults_kill_all_the_same,
];

const PAGE: usize = 4096;
// Codes of siginfo that the C library's crate lacks; see sigaction(2).
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const FPE_INTDIV: i32 = 1;
const ILL_ILLOPN: i32 = 2;

/// Ends the process with what the handler was told: code in the exit code; the address goes through a file.
extern "C" fn tell(signal: i32, information: *mut siginfo_t, _: *mut c_void) {
    let Info { code, address, .. } = info(information);
    let text = format!("{signal} {code} {address:x}");
    let file = create("told");
    write(file, text.as_bytes());
    raw::exit(7);
}

/// The signal, code and address with which `action` ends.
fn told(signal: i32, action: impl FnOnce()) -> String {
    let status = in_child(|| {
        on_signal(signal, tell, SA_ONSTACK);
        action();
        0
    });
    is!(status, exited(7));
    std::fs::read_to_string("told").unwrap_or_default()
}

fn nothing_mapped_is_told_with_its_address() {
    is!(
        told(SIGSEGV, || {
            read_byte(NOWHERE);
        }),
        format!("{SIGSEGV} {SEGV_MAPERR} {NOWHERE:x}")
    );
    let place = memory(PAGE);
    ok!(SYS_munmap, place, PAGE);
    is!(told(SIGSEGV, || write_byte(place + 123, 1)), format!("{SIGSEGV} {SEGV_MAPERR} {:x}", place + 123));
    is!(
        told(SIGSEGV, || {
            raw::call_code(place + 16);
        }),
        format!("{SIGSEGV} {SEGV_MAPERR} {:x}", place + 16)
    );
}

fn a_wrong_access_is_told_with_its_address() {
    let place = memory(PAGE);
    ok!(SYS_mprotect, place, PAGE, PROT_READ);
    is!(told(SIGSEGV, || write_byte(place + 5, 1)), format!("{SIGSEGV} {SEGV_ACCERR} {:x}", place + 5));
    ok!(SYS_mprotect, place, PAGE, PROT_NONE);
    is!(
        told(SIGSEGV, || {
            read_byte(place + 6);
        }),
        format!("{SIGSEGV} {SEGV_ACCERR} {:x}", place + 6)
    );
    is!(
        told(SIGSEGV, || {
            raw::call_code(place);
        }),
        format!("{SIGSEGV} {SEGV_ACCERR} {place:x}")
    );
}

fn addresses_that_cannot_be_are_told() {
    // Kernel memory is as if nothing were there.
    let address = 0xffff_8000_0000_0010_usize;
    is!(
        told(SIGSEGV, || {
            read_byte(address);
        }),
        format!("{SIGSEGV} {SEGV_MAPERR} {address:x}")
    );
    // A non-canonical address is a general-protection exception, which has none.
    is!(
        told(SIGSEGV, || {
            read_byte(0x8000_0000_0000_0000);
        }),
        format!("{SIGSEGV} {SI_KERNEL} 0")
    );
}

fn beyond_a_files_end_is_a_bus_error() {
    let file = create("file");
    ok!(SYS_ftruncate, file, 100);
    for flags in [MAP_SHARED, MAP_PRIVATE] {
        let place = ok!(SYS_mmap, 0, 2 * PAGE, PROT_READ | PROT_WRITE, flags, file, 0) as usize;
        is!(read_byte(place + PAGE - 1), 0);
        is!(
            told(SIGBUS, || {
                read_byte(place + PAGE + 3);
            }),
            format!("{SIGBUS} {BUS_ADRERR} {:x}", place + PAGE + 3)
        );
        is!(told(SIGBUS, || write_byte(place + PAGE, 3)), format!("{SIGBUS} {BUS_ADRERR} {:x}", place + PAGE));
    }
}

fn a_file_that_shrinks_is_a_bus_error() {
    let file = create("file");
    ok!(SYS_ftruncate, file, 3 * PAGE);
    let place = ok!(SYS_mmap, 0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) as usize;
    write_byte(place + 2 * PAGE, 5);
    write_byte(place + 200, 5);
    ok!(SYS_ftruncate, file, 100);
    is!(
        told(SIGBUS, || {
            read_byte(place + 2 * PAGE);
        }),
        format!("{SIGBUS} {BUS_ADRERR} {:x}", place + 2 * PAGE)
    );
    // The rest of the last page is zero again.
    is!(read_byte(place + 200), 0);
    ok!(SYS_ftruncate, file, 3 * PAGE);
    is!(read_byte(place + 2 * PAGE), 0);
}

/// Uses about `kibibytes` of the stack.
#[inline(never)]
fn deepen(kibibytes: usize) -> u64 {
    let filler = std::hint::black_box([kibibytes as u64; 128]);
    if kibibytes == 0 { filler[5] } else { deepen(kibibytes - 1) + std::hint::black_box(filler)[100] }
}

fn the_stack_grows() {
    is!(
        in_child(|| {
            std::hint::black_box(deepen(2000));
            0
        }),
        0
    );
}

fn the_stack_does_not_grow_for_ever() {
    let status = in_child(|| {
        ok!(SYS_setrlimit, RLIMIT_STACK, &rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 });
        std::hint::black_box(deepen(8000));
        0
    });
    is!(status & 0x7f, SIGSEGV);
    let other_stack = memory(16 * PAGE);
    let status = in_child(|| {
        let stack = stack_t { ss_sp: other_stack as *mut c_void, ss_flags: 0, ss_size: 16 * PAGE };
        ok!(SYS_sigaltstack, &stack, 0);
        on_signal(SIGSEGV, tell, SA_ONSTACK);
        ok!(SYS_setrlimit, RLIMIT_STACK, &rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 });
        std::hint::black_box(deepen(8000));
        0
    });
    is!(status, exited(7));
    holds!(std::fs::read_to_string("told").is_ok_and(|text| text.starts_with(&format!("{SIGSEGV} {SEGV_MAPERR} 7f"))));
}

extern "C" fn repair(_: i32, information: *mut siginfo_t, _: *mut c_void) {
    let page = info(information).address & !(PAGE - 1);
    sys!(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE);
}

fn a_handler_repairs_and_the_access_goes_on() {
    let place = memory(16 * PAGE);
    ok!(SYS_mprotect, place, 16 * PAGE, PROT_NONE);
    on_signal(SIGSEGV, repair, 0);
    for page in 0..16 {
        write_byte(place + page * PAGE + 7, page as u8);
    }
    holds!((0..16).all(|page| usize::from(read_byte(place + page * PAGE + 7)) == page));
}

/// Runs the instruction in a child that tells of `signal`; what it is told, without the address.
fn instruction(signal: i32, code: &[u8]) -> String {
    let place = memory(PAGE);
    code.iter().chain(&[0xc3]).enumerate().for_each(|(index, &byte)| write_byte(place + index, byte));
    ok!(SYS_mprotect, place, PAGE, PROT_READ | PROT_EXEC);
    let text = told(signal, || {
        raw::call_code(place);
    });
    text.replace(&format!(" {place:x}"), " here")
}

fn division_by_zero() {
    // xor ecx, ecx; div ecx: the address is that of the division.
    let text = instruction(SIGFPE, &[0x90, 0x31, 0xc9, 0xf7, 0xf1]);
    holds!(text.starts_with(&format!("{SIGFPE} {FPE_INTDIV} ")));
    holds!(text.ends_with('3'));
}

fn undefined_and_privileged_instructions() {
    is!(instruction(SIGILL, &[0x0f, 0x0b]), format!("{SIGILL} {ILL_ILLOPN} here"));
    for code in
        [&[0xf4_u8][..], &[0xfa], &[0x0f, 0x01, 0x10], &[0x0f, 0x20, 0xc0], &[0xe4, 0x20], &[0x0f, 0x32], &[0xcd, 0x40]]
    {
        is!(instruction(SIGSEGV, code), format!("{SIGSEGV} {SI_KERNEL} 0"));
    }
}

fn breakpoints() {
    is!(instruction(SIGTRAP, &[0xcc]), format!("{SIGTRAP} {SI_KERNEL} 0"));
}

fn blocked_faults_kill_all_the_same() {
    let status = in_child(|| {
        on_signal(SIGSEGV, tell, 0);
        sys!(SYS_rt_sigprocmask, SIG_BLOCK, &u64::MAX, 0, 8);
        read_byte(NOWHERE);
        0
    });
    is!(status & 0x7f, SIGSEGV);
    let status = in_child(|| {
        raw::set_action(SIGSEGV, SIG_IGN, 0, &[]);
        read_byte(NOWHERE);
        0
    });
    is!(status & 0x7f, SIGSEGV);
}
