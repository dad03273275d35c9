//! The machine-check architecture (SDM volume 3, chapter 16): has the processor report its own failures by exception 18, and reads
//! what they were. Without that, an uncorrected error resets the machine in silence.

use super::cpu;
use logic::machine_check::Report;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;

const CAPABILITIES: u32 = 0x179;
/// Of [`CAPABILITIES`]: how many banks there are, and whether [`CONTROL`] is there.
const BANKS: u64 = 0xff;
const HAS_CONTROL: u64 = 1 << 8;
const STATUS: u32 = 0x17a;
const CONTROL: u32 = 0x17b;

/// The first bank's registers; each bank has four.
const FIRST_BANK: u32 = 0x400;
const BANK_REGISTERS: u32 = 4;
/// Register numbers leave room for so many.
const MOST_BANKS: u8 = 32;

/// Which errors are reported: all of them.
const ALL: u64 = u64::MAX;
/// AMD's family 15 reports harmless look-ups of the graphics aperture's table as errors of bank 4, by this bit (BIOS and Kernel
/// Developer's Guide for the AMD NPT Family 0Fh, section 5.3.2.5).
const GRAPHICS_APERTURE: u64 = 1 << 10;

/// Bank 0 of Intel's family 6 is the firmware's before this model (section 16.5).
const FIRST_MODEL_WITH_BANK_0: u8 = 0x1a;

/// Has this processor raise the exception. Errors that are there from before, an earlier run's perhaps, go to `found`.
pub(super) fn init_this_cpu(mut found: impl FnMut(Report)) {
    let Some(features) = cpu::identity().get_feature_info() else { return };
    if features.has_mca() {
        if read(CAPABILITIES) & HAS_CONTROL != 0 {
            write(CONTROL, ALL);
        }
        for bank in 0..banks() {
            let report = report(bank);
            if report.is_valid() {
                found(report);
            }
            if let Some(reported) = errors_to_report(bank) {
                write(register(bank, 0), reported);
            }
            write(register(bank, 1), 0);
        }
        write(STATUS, 0);
    }
    if features.has_mce() {
        // SAFETY: the feature is there, and exception 18 has a gate and a stack of its own.
        unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::MACHINE_CHECK_EXCEPTION)) };
    }
}

/// What this processor's banks report now, the worst first.
pub(super) fn worst() -> Option<Report> {
    if !cpu::identity().get_feature_info().is_some_and(|features| features.has_mca()) {
        return None;
    }
    let reports = (0..banks()).map(report).filter(|report| report.is_valid());
    reports.min_by_key(|report| !report.is_uncorrected())
}

/// What bank `bank` is to report; `None` if that is not the kernel's to say.
fn errors_to_report(bank: u8) -> Option<u64> {
    let identity = cpu::identity();
    let features = identity.get_feature_info()?;
    let vendor = identity.get_vendor_info()?;
    match (vendor.as_str(), features.family_id(), bank) {
        ("GenuineIntel", 6, 0) if features.model_id() < FIRST_MODEL_WITH_BANK_0 => None,
        ("AuthenticAMD", 15, 4) => Some(ALL & !GRAPHICS_APERTURE),
        _ => Some(ALL),
    }
}

fn banks() -> u8 {
    // The number has eight bits.
    ((read(CAPABILITIES) & BANKS) as u8).min(MOST_BANKS)
}

fn report(bank: u8) -> Report {
    let mut report = Report { bank, status: read(register(bank, 1)), address: 0 };
    if report.has_address() {
        report.address = read(register(bank, 2));
    }
    report
}

/// A bank's registers in order: what to report, status, address, more.
fn register(bank: u8, number: u32) -> u32 {
    FIRST_BANK + u32::from(bank) * BANK_REGISTERS + number
}

fn read(register: u32) -> u64 {
    // SAFETY: the callers have seen that the architecture is there, and ask only for banks that it has; reading changes nothing.
    unsafe { Msr::new(register).read() }
}

fn write(register: u32, value: u64) {
    // SAFETY: as for `read`; the registers say what is reported, and reach no memory.
    unsafe { Msr::new(register).write(value) }
}
