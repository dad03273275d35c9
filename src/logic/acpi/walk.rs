//! From the root table to all others: finds each, checks it, and fills the [`Platform`].

use super::table::{Fields, Flaw, HEADER_BYTES, Table};
use super::{FixedHardware, Platform, TableSummary, devices, fadt, madt, sleep};
use crate::boot::Rsdp;
use acpi::sdt::{SdtHeader, Signature};
use arrayvec::ArrayVec;
use core::fmt;
use core::mem::offset_of;

/// A longer table is not believed. The longest, DSDTs, are some hundred KiB.
pub const MAX_TABLE_BYTES: usize = 4 << 20;

/// Tables that are looked at.
const MAX_TABLES: usize = 256;

/// A table that was left out, or part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The table's signature; zeroes where it could not be read.
    pub signature: [u8; 4],
    /// Its physical address.
    pub address: u64,
    /// What is wrong.
    pub flaw: Flaw,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "table {} at {:#x} {}", self.signature.escape_ascii(), self.address, self.flaw)
    }
}

/// Where the complaints about one table go.
pub(super) type Flaws<'c> = &'c mut dyn FnMut(Flaw);

/// Reads all tables that the root names. `map` answers the given number of bytes of memory at a physical address, or `None`
/// where there are none; it is never asked for more than [`MAX_TABLE_BYTES`]. What is wrong goes to `complain`, and costs the
/// table that it is wrong in.
pub fn read<'a>(
    root: Rsdp,
    map: &mut dyn FnMut(u64, usize) -> Option<&'a [u8]>,
    complain: &mut dyn FnMut(Complaint),
) -> Platform {
    let mut walk = Walk { map, complain, tables: ArrayVec::new() };
    let mut platform = Platform::without_acpi();
    walk.list(root, &mut platform);

    let fixed = walk.first(Signature::FADT, |table, flaws| fadt::read(table, flaws));
    let sci = fixed.map(|(fixed, _)| fixed.sci_gsi);
    walk.first(Signature::MADT, |table, flaws| madt::read(table, sci, &mut platform, flaws));
    platform.fixed = fixed.map(|(fixed, dsdt)| FixedHardware {
        s5: walk.s5(dsdt),
        sci_gsi: madt::gsi_of(fixed.sci_gsi, &platform.overrides),
        ..fixed
    });
    platform.hpet = walk.first(Signature::HPET, devices::hpet);
    walk.first(Signature::MCFG, |table, flaws| devices::ecam(table, &mut platform.ecam, flaws));
    platform
}

struct Walk<'a, 'c> {
    map: &'c mut dyn FnMut(u64, usize) -> Option<&'a [u8]>,
    complain: &'c mut dyn FnMut(Complaint),
    /// Signature and address of each table that the root names.
    tables: ArrayVec<([u8; 4], u64), MAX_TABLES>,
}

impl<'a> Walk<'a, '_> {
    /// Lists the tables that the root names: an RSDT has addresses of four bytes, an XSDT of eight (ACPI 6.5 sections
    /// 5.2.7 and 5.2.8).
    fn list(&mut self, root: Rsdp, platform: &mut Platform) {
        let (signature, width) = if root.revision < 2 { (Signature::RSDT, 4) } else { (Signature::XSDT, 8) };
        let signature = bytes_of(signature);
        let Some(table) = self.table(signature, root.root_table) else { return };
        for entry in table.after(HEADER_BYTES).chunks_exact(width) {
            let address = entry.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte));
            if address == 0 {
                continue;
            }
            let Some(header) = (self.map)(address, HEADER_BYTES) else {
                (self.complain)(Complaint { signature: [0; 4], address, flaw: Flaw::Unreachable });
                continue;
            };
            let found = (header.first_chunk().copied().unwrap_or_default(), address);
            // A summary is for people: those beyond the last that fits are used all the same.
            let _ = platform.tables.try_push(summary(address, header));
            if self.tables.try_push(found).is_err() {
                (self.complain)(Complaint { signature, address: root.root_table, flaw: Flaw::TooMany });
                return;
            }
        }
    }

    /// What `read` makes of the first table with `signature` that is sound and of which it makes anything.
    fn first<T>(
        &mut self,
        signature: Signature,
        mut read: impl FnMut(&Table<'a>, Flaws<'_>) -> Option<T>,
    ) -> Option<T> {
        let signature = bytes_of(signature);
        for (_, address) in self.tables.clone().into_iter().filter(|(found, _)| *found == signature) {
            let Some(table) = self.table(signature, address) else { continue };
            let complain = &mut self.complain;
            let answer = read(&table, &mut |flaw| complain(Complaint { signature, address, flaw }));
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    /// Sleep types for "off": of the DSDT, or if it has none, of the SSDTs.
    fn s5(&mut self, dsdt: u64) -> Option<(u8, u8)> {
        let in_dsdt = match dsdt {
            0 => None,
            _ => self.table(bytes_of(Signature::DSDT), dsdt).and_then(|table| sleep::s5(table.after(HEADER_BYTES))),
        };
        in_dsdt.or_else(|| self.first(Signature::SSDT, |table, _| sleep::s5(table.after(HEADER_BYTES))))
    }

    /// The table with `signature` at `address`, checked.
    fn table(&mut self, signature: [u8; 4], address: u64) -> Option<Table<'a>> {
        let table = self.checked(signature, address);
        table.map_err(|flaw| (self.complain)(Complaint { signature, address, flaw })).ok()
    }

    fn checked(&mut self, signature: [u8; 4], address: u64) -> Result<Table<'a>, Flaw> {
        let header = Fields((self.map)(address, HEADER_BYTES).ok_or(Flaw::Unreachable)?);
        if !header.0.starts_with(&signature) {
            return Err(Flaw::Signature);
        }
        let length = header.u32(offset_of!(SdtHeader, length)).ok_or(Flaw::Unreachable)?;
        let believed = usize::try_from(length).ok().filter(|length| (HEADER_BYTES..=MAX_TABLE_BYTES).contains(length));
        Table::check((self.map)(address, believed.ok_or(Flaw::Length(length))?).ok_or(Flaw::Unreachable)?)
    }
}

fn summary(address: u64, header: &[u8]) -> TableSummary {
    let fields = Fields(header);
    TableSummary {
        signature: header.first_chunk().copied().unwrap_or_default(),
        address,
        length: fields.u32(offset_of!(SdtHeader, length)).unwrap_or(0),
        revision: fields.u8(offset_of!(SdtHeader, revision)).unwrap_or(0),
        oem: header
            .get(offset_of!(SdtHeader, oem_id)..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or_default(),
    }
}

fn bytes_of(signature: Signature) -> [u8; 4] {
    signature.as_str().as_bytes().first_chunk().copied().unwrap_or_default()
}
