//! Programs of a few instructions run, stop for every reason that there is, and keep their registers; no way to stop does harm.

use super::tools::processors;
use super::{Outcome, Test};
use crate::hw::program_page::{ProgramPage, Right};
use crate::hw::user::{END, Exit, Registers, UserContext};
use crate::hw::user_memory::{self, Unmapped};
use crate::proc::{self, Priority, sleep, thread};
use alloc::format;
use core::time::Duration;
use logic::sched::CpuSet;

pub const TESTS: &[Test] = &[
    Test { name: "programs-make-system-calls", run: system_calls },
    Test { name: "programs-keep-registers", run: registers },
    Test { name: "programs-end-in-exceptions", run: exceptions },
    Test { name: "programs-cannot-break-the-entry", run: entry },
    Test { name: "programs-are-interrupted", run: interrupts },
    Test { name: "programs-keep-floating-point-registers", run: floating_point },
    Test { name: "programs-single-steps", run: single_steps },
    Test { name: "programs-memory-is-copied", run: memory },
];

const SYSCALL: [u8; 2] = [0x0f, 0x05];

fn page(code: &[u8]) -> Result<ProgramPage, alloc::string::String> {
    ProgramPage::holding(code, Right::Run).map_err(|error| format!("no page: {error:?}"))
}

/// A context at the page's start with distinct values in all registers.
fn context(page: &ProgramPage) -> UserContext {
    let mut context = UserContext::new();
    let value = |number: u64| 0x0123_4567_89ab_0000 + number;
    context.set_registers(&Registers {
        rax: value(0),
        rbx: value(1),
        rcx: value(2),
        rdx: value(3),
        rsi: value(4),
        rdi: value(5),
        rbp: value(6),
        rsp: value(7),
        r8: value(8),
        r9: value(9),
        r10: value(10),
        r11: value(11),
        r12: value(12),
        r13: value(13),
        r14: value(14),
        r15: value(15),
        rip: page.address(),
        ..Registers::default()
    });
    context
}

/// Runs on until something else than an interrupt stops it.
fn run(context: &mut UserContext) -> Exit {
    loop {
        match context.run() {
            Exit::Interrupt => {}
            exit => return exit,
        }
    }
}

fn system_calls() -> Outcome {
    // syscall; syscall; inc rax; syscall
    let page = page(&[0x0f, 0x05, 0x0f, 0x05, 0x48, 0xff, 0xc0, 0x0f, 0x05])?;
    let mut context = context(&page);
    let before = context.registers();
    check_eq!(run(&mut context), Exit::SystemCall);
    let number_and_arguments = (before.rax, [before.rdi, before.rsi, before.rdx, before.r10, before.r8, before.r9]);
    check_eq!(context.system_call(), number_and_arguments);
    context.set_result(41);
    check_eq!(run(&mut context), Exit::SystemCall);
    check_eq!(context.system_call().0, 41);
    // The way back by IRET, which any change of the registers takes.
    let mut registers = context.registers();
    registers.rcx = 99;
    context.set_registers(&registers);
    check_eq!(run(&mut context), Exit::SystemCall);
    check_eq!(context.registers().rax, 42);
    check_eq!(context.registers().rip, page.address() + 9);
    Ok(())
}

fn registers() -> Outcome {
    let page = page(&[0x90, 0x0f, 0x0b])?;
    let mut context = context(&page);
    context.set_fs_base(0x1234_5678);
    let mut expected = context.registers();
    // ud2 behind a nop; by IRET and back by an exception, nothing changes but what must.
    check_eq!(run(&mut context), Exit::Exception { vector: 6, error_code: 0 });
    expected.rip += 1;
    expected.rflags = context.registers().rflags;
    check_eq!(context.registers(), expected);
    check_eq!(context.fs_base(), 0x1234_5678);
    let mut copy = context.duplicate();
    check_eq!(copy.registers(), expected);
    check_eq!(run(&mut copy), Exit::Exception { vector: 6, error_code: 0 });
    // mov rax, fs:[0]
    let page = {
        drop(page);
        page_of(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0])?
    };
    let mut context = self::context(&page);
    check!(context.set_fs_base(page.address()), "the base of FS is refused");
    let exit = run(&mut context);
    check!(matches!(exit, Exit::PageFault { address, .. } if address == page.address() + 4096), "it ends in {exit:?}");
    check_eq!(context.registers().rax, 0x0025_048b_4864);
    check!(context.set_gs_base(7) && context.gs_base() == 7, "the base of GS is refused");
    check!(!context.set_fs_base(END) && !context.set_gs_base(u64::MAX), "a kernel address became FS's base");
    Ok(())
}

fn page_of(code: &[u8]) -> Result<ProgramPage, alloc::string::String> {
    // What follows the code is filled so that running on meets the page's end, not a fault of its own.
    let mut content = alloc::vec![0x90; 4096];
    content[..code.len()].copy_from_slice(code);
    page(&content)
}

fn exceptions() -> Outcome {
    for (what, code, exit) in [
        ("ud2", &[0x0f, 0x0b][..], Exit::Exception { vector: 6, error_code: 0 }),
        ("hlt", &[0xf4], Exit::Exception { vector: 13, error_code: 0 }),
        ("int3", &[0xcc], Exit::Exception { vector: 3, error_code: 0 }),
        ("int 0x80", &[0xcd, 0x80], Exit::Exception { vector: 13, error_code: 0x80 * 8 + 2 }),
        ("int 14", &[0xcd, 14], Exit::Exception { vector: 13, error_code: 14 * 8 + 2 }),
        ("xor ecx, ecx; div ecx", &[0x31, 0xc9, 0xf7, 0xf1], Exit::Exception { vector: 0, error_code: 0 }),
        ("mov rax, [0]", &[0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], Exit::PageFault { address: 0, error_code: 4 }),
        (
            "mov [rip - 7], rax",
            &[0x48, 0x89, 0x05, 0xf9, 0xff, 0xff, 0xff],
            Exit::PageFault { address: 0x40_0000, error_code: 7 },
        ),
        ("mov cr0, rax", &[0x0f, 0x22, 0xc0], Exit::Exception { vector: 13, error_code: 0 }),
        ("in al, dx", &[0xec], Exit::Exception { vector: 13, error_code: 0 }),
        ("wrmsr", &[0x0f, 0x30], Exit::Exception { vector: 13, error_code: 0 }),
        ("sysenter", &[0x0f, 0x34], Exit::Exception { vector: 13, error_code: 0 }),
    ] {
        let page = page(code)?;
        let found = run(&mut context(&page));
        let is_right = match (what, found) {
            // SYSENTER is no instruction of AMD's in long mode.
            ("sysenter", Exit::Exception { vector: 6, .. }) => true,
            // Some emulators count 16 bytes a gate in the error code, as there are, and not 8, as the manual says.
            ("int 0x80" | "int 14", Exit::Exception { vector: 13, .. }) => true,
            _ => found == exit,
        };
        check!(is_right, "{what} ends in {found:?}, not {exit:?}");
    }
    Ok(())
}

fn entry() -> Outcome {
    // std; syscall; syscall
    let page = page(&[0xfd, 0x0f, 0x05, 0x0f, 0x05])?;
    let mut context = context(&page);
    let mut registers = context.registers();
    for rsp in [0, 1, 0xffff_8000_0000_0000, 0xffff_ffff_8010_0000, u64::MAX, 0x8000_0000_0000] {
        registers.rsp = rsp;
        registers.rip = page.address();
        // Interrupt flag, I/O privilege, virtual-8086 mode, alignment check, and all that is reserved.
        registers.rflags = !(1 << 8);
        context.set_registers(&registers);
        check_eq!(run(&mut context), Exit::SystemCall);
        check_eq!(context.registers().rsp, rsp);
        check_eq!(context.registers().rflags & 0x1a_3000, 0);
        check_eq!(run(&mut context), Exit::SystemCall);
        check_eq!(context.registers().rsp, rsp);
    }
    for rip in [END, 0x8000_0000_0000, 0xffff_ffff_8010_0000, u64::MAX] {
        registers.rip = rip;
        registers.rflags = 0;
        context.set_registers(&registers);
        check_eq!(run(&mut context), Exit::Exception { vector: 13, error_code: 0 });
    }
    Ok(())
}

fn interrupts() -> Outcome {
    // jmp $
    let page = page(&[0xeb, 0xfe])?;
    for cpu in 0..processors() {
        let address = page.address();
        let sleeper = thread::spawn_on(CpuSet::only(cpu), "sleeper", Priority::NORMAL, || {
            sleep(Duration::from_millis(2));
        });
        let program = thread::spawn_on(CpuSet::only(cpu), "program", Priority::NORMAL, move || {
            let mut context = UserContext::new();
            context.set_registers(&Registers { rip: address, ..Registers::default() });
            let exit = context.run();
            (exit, context.registers().rip)
        });
        let (Ok(sleeper), Ok(program)) = (sleeper, program) else { return Err("no threads".into()) };
        check_eq!(program.join(), (Exit::Interrupt, address));
        sleeper.join();
    }
    Ok(())
}

fn floating_point() -> Outcome {
    // movq xmm15, rdi; movq xmm0, rdi; fild is left to XSAVE; l: syscall; movq rsi, xmm15; movq rdx, xmm0; jmp l
    let code = [
        &[0x66, 0x4c, 0x0f, 0x6e, 0xff, 0x66, 0x48, 0x0f, 0x6e, 0xc7][..],
        &SYSCALL,
        &[0x66, 0x4c, 0x0f, 0x7e, 0xfe, 0x66, 0x48, 0x0f, 0x7e, 0xc2, 0xeb, 0xf2],
    ]
    .concat();
    let page = page(&code)?;
    let address = page.address();
    let threads: alloc::vec::Vec<_> = (0..2 * processors() as u64 + 1)
        .map(|number| {
            proc::spawn("program", Priority::NORMAL, move || {
                let value = 0x1111_2222_3333_4444 * (number + 1);
                let mut context = UserContext::new();
                context.set_registers(&Registers { rip: address, rdi: value, ..Registers::default() });
                let mut is_right = run(&mut context) == Exit::SystemCall;
                for _ in 0..200 {
                    if number == 0 {
                        sleep(Duration::from_micros(10));
                    } else {
                        proc::scheduler::yield_now();
                    }
                    is_right &= run(&mut context) == Exit::SystemCall;
                    let registers = context.registers();
                    is_right &= (registers.rsi, registers.rdx) == (value, value);
                }
                // The copy has the same; and what is set is taken, be it nonsense.
                let mut copy = context.duplicate();
                is_right &= run(&mut copy) == Exit::SystemCall && copy.registers().rsi == value;
                let state = alloc::vec::Vec::from(copy.fpu_state());
                copy.set_fpu_state(&[0xff; 4096]);
                is_right &= run(&mut copy) == Exit::SystemCall;
                copy.set_fpu_state(&state);
                is_right && run(&mut copy) == Exit::SystemCall && copy.registers().rdx == value
            })
        })
        .collect();
    for thread in threads {
        let thread = thread.map_err(|error| format!("no thread: {error:?}"))?;
        check!(thread.join(), "a program's floating-point registers are another's");
    }
    Ok(())
}

fn single_steps() -> Outcome {
    // nop; nop; syscall; nop
    let page = page(&[0x90, 0x90, 0x0f, 0x05, 0x90, 0x90])?;
    let mut context = context(&page);
    let trap_flag = 1 << 8;
    let mut registers = context.registers();
    registers.rflags = trap_flag;
    context.set_registers(&registers);
    for step in 1..=2 {
        check_eq!(run(&mut context), Exit::Exception { vector: 1, error_code: 0 });
        check_eq!(context.registers().rip, page.address() + step);
    }
    check_eq!(run(&mut context), Exit::SystemCall);
    check!(context.registers().rflags & trap_flag != 0, "the system call has cleared the trap flag");
    check_eq!(run(&mut context), Exit::Exception { vector: 1, error_code: 0 });
    Ok(())
}

fn memory() -> Outcome {
    let page = ProgramPage::new(Right::Write).map_err(|error| format!("no page: {error:?}"))?;
    let start = page.address();
    let end = start + 4096;
    check_eq!(user_memory::write(start + 4090, b"abcdef"), Ok(()));
    let mut text = [0; 8];
    check_eq!(user_memory::read(end - 6, &mut text[..6]), Ok(()));
    check_eq!(&text[..6], b"abcdef");
    check_eq!(user_memory::read(end - 6, &mut text), Err(Unmapped { copied: 6, address: end }));
    check_eq!(user_memory::write(end - 2, b"12345"), Err(Unmapped { copied: 2, address: end }));
    check_eq!(user_memory::write(start - 1, b"12"), Err(Unmapped { copied: 0, address: start - 1 }));
    check_eq!(user_memory::read(0, &mut text), Err(Unmapped { copied: 0, address: 0 }));
    check_eq!(user_memory::read(0, &mut []), Ok(()));
    for address in [END - 4, END, 0xffff_8000_0000_0000, u64::MAX, u64::MAX - 7] {
        check!(user_memory::read(address, &mut text).is_err(), "{address:#x} was read for a program");
        check!(user_memory::write(address, &text).is_err(), "{address:#x} was written for a program");
    }
    check_eq!(user_memory::write(start, &7_u32.to_le_bytes()), Ok(()));
    check_eq!(user_memory::load_u32(start), Ok(7));
    check_eq!(user_memory::compare_exchange_u32(start, 8, 9), Ok(7));
    check_eq!(user_memory::compare_exchange_u32(start, 7, 9), Ok(7));
    check_eq!(user_memory::load_u32(start), Ok(9));
    check_eq!(user_memory::load_u32(end), Err(Unmapped { copied: 0, address: end }));
    check_eq!(user_memory::compare_exchange_u32(end, 0, 1), Err(Unmapped { copied: 0, address: end }));
    drop(page);
    check!(user_memory::read(start, &mut text).is_err(), "memory that is gone was read");
    Ok(())
}
