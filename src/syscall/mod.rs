//! System calls: what programs ask the kernel for. [`table`] has them all, one file has each family.
//!
//! [`run`] is the life of a program's thread in the kernel: it goes to the program, comes back with a reason, sees to it, and does
//! that again until the thread ends.

mod arguments;
mod blocking;
mod descriptors;
mod directories;
mod epoll;
mod event_files;
mod identity;
mod kernel_log;
mod memory;
mod messages;
mod metadata;
mod missing;
mod poll;
mod processes;
mod record;
mod signals;
mod sockets;
mod splice;
mod system;
mod table;
mod terminal;
mod threads;
mod time;
mod transfer;
mod vectors;

pub use record::{show, trace};

use crate::hw::cpu;
use crate::hw::heap;
use crate::hw::user::Exit;
use crate::proc::process::{self, Action, Answer, Current, Stop, Task};
use crate::proc::scheduler;
use arguments::Registers;
use core::sync::atomic::Ordering;
use linux_raw_sys::general::{
    BUS_ADRALN, BUS_ADRERR, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV, FPE_INTOVF,
    ILL_ILLOPN, SEGV_ACCERR, SEGV_MAPERR, TRAP_TRACE,
};
use logic::errno::Errno;
use logic::mem::space::{Access, FaultOutcome, Signal as FaultSignal};
use logic::process::Status;
use logic::signal::frame::Exception;
use logic::signal::{Signal, SignalInfo};

/// Heap that a system call may take by functions that cannot fail.
const HEAP_BYTES: usize = 16 * 1024;

/// Bits of a page fault's error code (SDM volume 3, section 5.7).
const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// Runs a program's thread until it ends.
pub fn run(mut current: Current) {
    let status = loop {
        let has_come = current.task.wants_attention() || current.is_interrupted();
        if has_come && process::act(&mut current) == Action::End {
            break Status::Exited(0);
        }
        let Current { task, context, .. } = &mut current;
        let entered = cpu::tsc();
        let exit = context.run_unless(|| task.wants_attention());
        // The thread may have been moved before it entered, to where the counter is behind.
        let in_program = cpu::tsc().saturating_sub(entered);
        task.user_ticks.fetch_add(in_program, Ordering::Relaxed);
        scheduler::note_user_ticks(in_program);
        match exit {
            Exit::Interrupt => {}
            Exit::SystemCall => {
                if let Some(status) = call(&mut current) {
                    break status;
                }
            }
            Exit::PageFault { address, error_code } => page_fault(&mut current, address, error_code),
            Exit::Exception { vector, error_code } => exception(&mut current, vector, error_code),
        }
    };
    process::end_task(current, status);
}

/// Does what a program asks for; the status with which the thread ends, if it does.
fn call(current: &mut Current) -> Option<Status> {
    let (number, registers) = current.context.system_call();
    match table::find(number) {
        Some(entry) => {
            // Nobody may fail to end.
            let answer = if entry.ends || has_heap(&current.task) {
                (entry.call)(current, &mut Registers::new(&registers))
            } else {
                Err(Errno::ENOMEM.into())
            };
            record::note(current, entry, &registers, &answer);
            if entry.ends {
                // The number that was passed, as exit(2) cuts it.
                return Some(Status::Exited((registers[0] & 0xff) as u8));
            }
            current.answer(number, answer);
        }
        None => {
            record::note_unknown(current, number);
            current.answer(number, Err(Stop::Failed(Errno::ENOSYS)));
        }
    }
    None
}

/// Whether there is memory for a system call, if need be once another process has ended for it.
fn has_heap(task: &Task) -> bool {
    heap::ensure(HEAP_BYTES).is_ok() || (process::make_room(task) && heap::ensure(HEAP_BYTES).is_ok())
}

fn page_fault(current: &mut Current, address: u64, error_code: u64) {
    let access = match error_code {
        code if code & FETCH != 0 => Access::Execute,
        code if code & WRITE != 0 => Access::Write,
        _ => Access::Read,
    };
    let (signal, code) = match current.task.fault(address, access) {
        FaultOutcome::Resolved => return,
        // Its own end, if that was decided, comes first.
        FaultOutcome::OutOfMemory => (Signal::SIGBUS, BUS_ADRERR),
        FaultOutcome::Signal(FaultSignal::NotMapped) => (Signal::SIGSEGV, SEGV_MAPERR),
        FaultOutcome::Signal(FaultSignal::NotAllowed) => (Signal::SIGSEGV, SEGV_ACCERR),
        FaultOutcome::Signal(FaultSignal::BeyondEnd) => (Signal::SIGBUS, BUS_ADRERR),
    };
    current.note_exception(Exception { error: error_code, vector: 14, address });
    process::force(&current.task, SignalInfo::fault(signal, code, address));
}

/// An exception becomes the signal that signal(7) has for it.
fn exception(current: &mut Current, vector: u64, error_code: u64) {
    let address = current.context.registers().rip;
    current.note_exception(Exception { error: error_code, vector, address: 0 });
    let info = match vector {
        0 => SignalInfo::fault(Signal::SIGFPE, FPE_INTDIV, address),
        1 => SignalInfo::fault(Signal::SIGTRAP, TRAP_TRACE, address),
        3 => SignalInfo::kernel(Signal::SIGTRAP),
        4 => SignalInfo::fault(Signal::SIGFPE, FPE_INTOVF, address),
        6 => SignalInfo::fault(Signal::SIGILL, ILL_ILLOPN, address),
        16 | 19 => SignalInfo::fault(Signal::SIGFPE, float_code(current, vector), address),
        17 => SignalInfo::fault(Signal::SIGBUS, BUS_ADRALN, address),
        // Linux tells no address of these.
        _ => SignalInfo::kernel(Signal::SIGSEGV),
    };
    process::force(&current.task, info);
}

/// Which exception of the floating-point unit was not masked (SDM volume 1, sections 8.1.3 and 10.2.3).
fn float_code(current: &mut Current, vector: u64) -> u32 {
    let state = current.context.fpu_state();
    let word =
        |offset: usize| state.get(offset..offset + 2).map_or(0, |bytes| u16::from(bytes[0]) | u16::from(bytes[1]) << 8);
    let raised = if vector == 16 { word(2) & !word(0) } else { word(24) & !(word(24) >> 7) };
    match raised & 0x3f {
        bits if bits & 1 != 0 => FPE_FLTINV,
        bits if bits & 4 != 0 => FPE_FLTDIV,
        bits if bits & 8 != 0 => FPE_FLTOVF,
        bits if bits & 0x12 != 0 => FPE_FLTUND,
        _ => FPE_FLTRES,
    }
}

/// What no handler can answer twice.
type Call = fn(&mut Current, &mut Registers<'_>) -> Answer;
