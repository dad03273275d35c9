//! How the kernel speaks: what the model reads before a text, so that it knows the words when they come.
//!
//! A panic's words in their order, then a log's lines, the newest first, as they are packed. What is said most often stands last. It
//! need not be true to the letter; whatever is missing only costs more.

/// See above. Any change makes another format, which the checksum tells.
pub const PHRASES: &str = "\
Eres OS 0.1.0 
kernel panic at src/hw/heap.rs:120 on CPU 1
  assertion `left == right` failed
  called `Option::unwrap()` on a `None` value
  called `Result::unwrap()` on an `Err` value: 
  index out of bounds: the len is 16 but the index is 16
  attempt to subtract with overflow
  exception 13, general protection fault
  exception 8, double fault: the stack is full
  exception 18, machine check: uncorrected memory controller error at 0x12340000 (bank 3, status be00000000000090)
  exception 14, page fault: wrote to 0xffffffff80101000, which is read-only
  exception 14, page fault: executed 0x
  exception 14, page fault: read 0x0, where nothing is mapped (a null pointer)
kernel panic at src/hw/trap.rs:163 on CPU 0
  exception 6, invalid opcode
  rax ffffc02000340000  rbx 0000000000000000  rcx 0000000000000001
  rdx ffffc02000340000  rsi ffffffff80160000  rdi ffffffff80110000
  r8  0000000000000000  r9  0000000000000002  r10 ffffc02000340000
  r11 0000000000000000  r12 ffffffff80140000  r13 ffffc02000340000
  r14 ffff800000000000  r15 0000000000000000  cr2 0000000000000000
  rbp ffffc02000340000  rsp ffffc02000340000  rip ffffffff80110000
  rflags 00000086  cs 0008  ss 0010  error code 0
  rflags 00010202  cs 0033  ss 002b  error code 2
  at ffffffff8011 kernel::drivers::console::write+0x1
  at ffffffff8011 kernel::drivers::tty::Tty::read+0x1
  at ffffffff8012 <kernel::hw::frames::Cache as logic::mem::frames::
  at ffffffff8012 logic::mem::page_table::
  at ffffffff8012 alloc::vec::Vec<T>::push+0x
  at ffffffff8013 kernel::syscall::dispatch+0x
  at ffffffff8013 logic::fs::file::
  at ffffffff8012 kernel::monitor::machine::provoke+0x2f
  at ffffffff8012 kernel::monitor::prompt+0x1f3
  at ffffffff8012 kernel::monitor::start::{{closure}}+0x135
  at ffffffff8012 kernel::provoke::as_asked+0x50
  at ffffffff8012 kernel::main_thread+0x1a4
  at ffffffff8010 core::ops::function::FnOnce::call_once{{vtable.shim}}+0xc
  at ffffffff8011 kernel::proc::thread::thread_main+0x71
  at ffffffff8011 kernel_main+0x1
  at ffffffff8014 context_start+0x8
  ...
debug: clock: TSC 2596147841 Hz by HPET, Refine(2596147841)
ready
time: firmware 149.4 ms, loader 55.6 ms, kernel 57.0 ms, TSC 3394 MHz
memory: 125 MiB usable in 1 range, 127 MiB RAM; in use: 2584 KiB beside the kernel's image of 724 KiB
memory: 16250 MiB usable in 12 ranges, 16384 MiB RAM; in use: 
processors: 4 running, Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz
processors: 8 running, AMD Ryzen 5 Processor with Radeon Graphics
processors: 1 running, QEMU Virtual CPU version 2.5+
debug: protection: NX SMEP SMAP UMIP WP PGE; heap 2048 KiB
debug:   0000:03:00.0 1022:15b7 USB controller, xHCI, MSI-X (16 vectors), memory 0xfe800000 (1 MiB)
debug:   0000:02:00.0 10ec:8168 network controller, Ethernet, MSI, ports 0xe000 (256 B), memory 
debug:   0000:00:1f.3 8086:a170 audio device, memory 0xfebf0000 (4 KiB)
debug:   0000:00:1f.2 8086:2922 SATA controller, AHCI, INTA at 16, MSI
debug:   0000:01:00.0 144d:a808 NVMe controller
debug:   0000:00:1c.0 8086:a110 PCI bridge to bus 1
debug:   0000:00:02.0 1234:1111 VGA adapter, memory 0xfd000000 (16 MiB)
debug:   0000:00:01.3 8086:7113 bridge, INTA at 9
debug:   0000:00:01.1 8086:7010 IDE controller, ports 0xc000 (16 B)
debug:   0000:00:01.0 8086:7000 ISA bridge
debug:   0000:00:00.0 8086:1237 host bridge
debug: PCI: 12 functions
debug: processor 1: APIC id 1, TSC -112632 to 361634 ticks ahead
debug: keyboard: PS/2, us layout, scan codes of set One, self-test Passed, set up in 418931 ns
debug: timer: TSC deadline
debug: timer: local APIC, 249999 kHz
debug: clock: TSC 2596.1 MHz by HPET, ACPI timer agrees within 2 ppm, PIT within 3 ppm; RTC 2026-11-27 12:00:00 UTC
debug: display: VGA text 80x25
debug: display: framebuffer 1024x768, 32 bits per pixel, at 0xfd000000
debug:   0x000fffc00000-0x000100000000 reserved
debug:   0x000007fe0000-0x000008000000 ACPI tables
debug:   0x000007fe0000-0x000008000000 ACPI non-volatile
debug:   0x000004008000-0x000007fe0000 usable
debug:   0x000004000000-0x000004008000 log
debug:   0x0000001f0000-0x000004000000 usable
debug:   0x0000001ef000-0x0000001f0000 module
debug:   0x000000100000-0x0000001ef000 kernel
debug:   0x0000000f0000-0x000000100000 reserved
debug:   0x00000009f000-0x0000000a0000 reserved
debug:   0x000000000000-0x00000009f000 low memory
debug: command line: log=debug
loader: GRUB 2.06-13+deb12u1, from UEFI; module: initramfs, 512 B
loader: Eres BIOS loader, from BIOS; module: initramfs, 512 B
machine: QEMU Standard PC (i440FX + PIIX, 1996)
debug: module initramfs at 0x1ef000-0x1ef200
debug: interrupts: x2APIC, 1 I/O APIC(s), processor 0
debug: ACPI: 2 CPUs, 1 I/O APIC, HPET, PM timer
debug: ACPI: revision 2, root table at 0x7fe1b33
debug: the last start ended in order
warning: the last start ended in a kernel panic at src/
error: there is not enough memory for the 
Eres OS 0.1.0 (x86_64)
";
