//! System calls as they are, and memory by address: all that these tests need `unsafe` for.
//!
//! What is here takes any number for an address, as the kernel does: a test that hands over a wrong one is either meant to, or fails in a
//! process of its own.

use core::arch::asm;
use core::ffi::{CStr, c_void};
use libc::{c_int, siginfo_t};

/// What can stand in a register.
pub trait Word {
    /// Its bits.
    fn word(self) -> usize;
}

macro_rules! words {
    ($($kind:ty),*) => { $(impl Word for $kind { fn word(self) -> usize { self as usize } })* };
}
words!(i32, u32, i64, u64, isize, usize);

impl<T> Word for *const T {
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Word for *mut T {
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Word for &T {
    fn word(self) -> usize {
        self as *const T as usize
    }
}

impl<T> Word for &mut T {
    fn word(self) -> usize {
        self as *mut T as usize
    }
}

impl Word for &CStr {
    fn word(self) -> usize {
        self.as_ptr() as usize
    }
}

/// Makes a system call; errors are negative.
pub fn call(number: i64, arguments: &[usize]) -> i64 {
    let word = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let result: i64;
    // SAFETY: what the call does to memory is the test's business.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") word(0), in("rsi") word(1), in("rdx") word(2),
            in("r10") word(3), in("r8") word(4), in("r9") word(5), lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// Makes the system call `SYS_…` of the given name.
#[macro_export]
macro_rules! sys {
    ($name:ident $(, $argument:expr)* $(,)?) => {
        $crate::raw::call(libc::$name, &[$($crate::raw::Word::word($argument)),*])
    };
}

/// Runs `child` in another process, which ends with the answer as its exit code. Answers its number.
pub fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the program has one thread, or its test knows what a child may do.
    let number = unsafe { libc::fork() };
    if number == 0 {
        let code = child();
        exit(code);
    }
    number
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    call(libc::SYS_exit_group, &[code as usize]);
    unreachable!("exit_group returned")
}

/// All bits zero.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: it is used for structures of libc, of numbers and addresses only.
    unsafe { core::mem::zeroed() }
}

/// Reads a byte, which may fault.
pub fn read_byte(address: usize) -> u8 {
    // SAFETY: a fault is what the test may want.
    unsafe { (address as *const u8).read_volatile() }
}

/// Writes a byte, which may fault.
pub fn write_byte(address: usize, value: u8) {
    // SAFETY: a fault is what the test may want.
    unsafe { (address as *mut u8).write_volatile(value) }
}

/// Copies from memory.
pub fn bytes_at(address: usize, length: usize) -> Vec<u8> {
    (address..address + length).map(read_byte).collect()
}

/// Calls a function without arguments at `address`.
pub fn call_code(address: usize) -> i32 {
    // SAFETY: a fault is what the test may want.
    let function: extern "C" fn() -> i32 = unsafe { core::mem::transmute(address) };
    function()
}

/// A handler for signals, as with SA_SIGINFO.
pub type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Sets an action; `handler` may be SIG_DFL or SIG_IGN.
pub fn set_action(signal: c_int, handler: usize, flags: c_int, mask: &[c_int]) {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = handler;
    action.sa_flags = flags | libc::SA_SIGINFO;
    for &signal in mask {
        // SAFETY: the set is a local one.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, signal) };
    }
    // SAFETY: the handler is a function of this kind, or a constant.
    unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
}

/// Sets a handler.
pub fn on_signal(signal: c_int, handler: Handler, flags: c_int) {
    set_action(signal, handler as usize, flags, &[]);
}

/// What a handler is told.
#[derive(Clone, Copy)]
pub struct Info {
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: usize,
    /// `si_pid`.
    pub process: i32,
    /// `si_uid`.
    pub user: u32,
    /// `si_status`.
    pub status: i32,
    /// `si_value`, as a number.
    pub value: usize,
}

/// Reads what the kernel wrote, all readings of it.
pub fn info(info: *const siginfo_t) -> Info {
    // SAFETY: the kernel wrote all of it.
    let info = unsafe { *info };
    // SAFETY: any bits are a number.
    let (address, process) = unsafe { (info.si_addr() as usize, info.si_pid()) };
    // SAFETY: as above.
    let (user, status) = unsafe { (info.si_uid(), info.si_status()) };
    // SAFETY: as above.
    let value = unsafe { info.si_value().sival_ptr as usize };
    Info { code: info.si_code, address, process, user, status, value }
}

/// Loads a number into an SSE register, runs `between` and reads the register again.
pub fn through_vector_register(value: u64, process: i32, signal: i32) -> u64 {
    let result: u64;
    // SAFETY: kill(2) touches no memory of ours but by the handler, a function of C's conventions that keeps what it must.
    unsafe {
        asm!("movq xmm7, {value}", "syscall", "movq {result}, xmm7", value = in(reg) value, result = lateout(reg) result,
            inlateout("rax") libc::SYS_kill => _, in("rdi") process, in("rsi") signal,
            out("rcx") _, out("r11") _, out("xmm7") _);
    }
    result
}

/// Spoils an SSE register.
pub fn spoil_vector_register() {
    // SAFETY: it is told that the register is written.
    unsafe { asm!("movq xmm7, {zero}", zero = in(reg) 0_u64, out("xmm7") _) };
}

/// An entry of the auxiliary vector.
pub fn auxiliary(kind: u64) -> u64 {
    // SAFETY: it only reads.
    unsafe { libc::getauxval(kind) }
}

/// Bytes of a NUL-terminated string.
pub fn string_at(address: usize) -> Vec<u8> {
    (address..).map(read_byte).take_while(|&byte| byte != 0).collect()
}
