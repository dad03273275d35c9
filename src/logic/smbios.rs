//! The names of the machine and of its firmware, from the tables that firmware describes the hardware in (SMBIOS reference specification DSP0134, sections
//! 5.2, 6.1, 7.1 and 7.2), and the way to them: by search below 1 MiB on a BIOS, by the system table under UEFI.
//!
//! Nothing here is trusted: lengths are checked, and what is no name is left out.

use arrayvec::ArrayString;
use core::fmt;

/// Where a BIOS has the entry point.
pub const SEARCH_START: u64 = 0xf_0000;
/// Bytes to be searched.
pub const SEARCH_BYTES: usize = 0x1_0000;

/// Tables that are believed to be so long; those of servers have tens of KiB.
const MAX_TABLE_BYTES: usize = 1 << 20;
/// Entries of UEFI's configuration table that are looked at.
const MAX_CONFIGURATION_ENTRIES: usize = 256;

/// GUIDs of the entry points' addresses, as they lie in memory (UEFI specification section 4.6).
const SMBIOS_3: [u8; 16] =
    [0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a, 0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94];
const SMBIOS_2: [u8; 16] =
    [0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d];

/// Types of structures.
const FIRMWARE: u8 = 0;
const SYSTEM: u8 = 1;
const END: u8 = 127;

/// Reads so many bytes of physical memory, or not.
pub type Read<'a> = dyn FnMut(u64, usize) -> Option<&'a [u8]> + 'a;

/// What firmware calls the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Who made it; may be empty.
    pub manufacturer: ArrayString<48>,
    /// What it is; may be empty.
    pub product: ArrayString<48>,
    /// Who made the firmware, which version it is, and of when; each may be empty.
    pub firmware: [ArrayString<32>; 3],
}

impl fmt::Display for Machine {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = if self.manufacturer.is_empty() || self.product.is_empty() { "" } else { " " };
        write!(output, "{}{blank}{}", self.manufacturer, self.product)
    }
}

/// Finds the machine's name on a BIOS.
pub fn by_search(read: &mut Read<'_>) -> Option<Machine> {
    let area = read(SEARCH_START, SEARCH_BYTES)?;
    let table = (0..area.len()).step_by(16).find_map(|at| entry_point(area.get(at..)?))?;
    machine(read(table.address, table.bytes)?)
}

/// Finds the machine's name by UEFI's system table (UEFI specification section 4.3), of 64 bits.
pub fn by_system_table(address: u64, read: &mut Read<'_>) -> Option<Machine> {
    const BYTES: usize = 120;
    const ENTRIES: usize = 104;
    const TABLE: usize = 112;
    const ENTRY_BYTES: usize = 24;
    let system = read(address, BYTES)?;
    if !system.starts_with(b"IBI SYST") {
        return None;
    }
    let count = usize::try_from(u64_at(system, ENTRIES)?).ok()?.min(MAX_CONFIGURATION_ENTRIES);
    let entries = read(u64_at(system, TABLE)?, count * ENTRY_BYTES)?;
    let entry = |guid: [u8; 16]| entries.chunks_exact(ENTRY_BYTES).find(|entry| entry.starts_with(&guid));
    let start = u64_at(entry(SMBIOS_3).or_else(|| entry(SMBIOS_2))?, 16)?;
    let table = entry_point(read(start, ENTRY_POINT_BYTES)?)?;
    machine(read(table.address, table.bytes)?)
}

/// Where the structures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    address: u64,
    bytes: usize,
}

/// The longer of both kinds of entry points.
const ENTRY_POINT_BYTES: usize = 31;

/// The entry point that `bytes` begin with, of either kind.
fn entry_point(bytes: &[u8]) -> Option<Table> {
    let is_sound = |length: usize| {
        let sum = bytes.get(..length).map(|bytes| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
        sum == Some(0)
    };
    let table = if bytes.starts_with(b"_SM3_") && is_sound(24) {
        Table { address: u64_at(bytes, 16)?, bytes: usize::try_from(u32_at(bytes, 12)?).ok()? }
    } else if bytes.starts_with(b"_SM_") && is_sound(31) {
        let length = bytes.get(0x16..0x18)?.try_into().ok()?;
        Table { address: u32_at(bytes, 0x18)?.into(), bytes: u16::from_le_bytes(length).into() }
    } else {
        return None;
    };
    // Version 3 tells the most that there can be.
    (table.address != 0 && table.bytes > 0).then(|| Table { bytes: table.bytes.min(MAX_TABLE_BYTES), ..table })
}

/// The names among a table's structures.
fn machine(table: &[u8]) -> Option<Machine> {
    let mut machine = Machine::default();
    let mut rest = table;
    while let Some(next) = read_structure(rest, &mut machine) {
        rest = next;
    }
    (machine != Machine::default()).then_some(machine)
}

/// Takes from the first structure what names something, and answers what follows it; `None` behind the last that is whole.
fn read_structure<'a>(table: &'a [u8], machine: &mut Machine) -> Option<&'a [u8]> {
    let (kind, length) = (*table.first()?, usize::from(*table.get(1)?));
    let (formatted, rest) = table.split_at_checked(length).filter(|_| length >= 4)?;
    // Behind it are strings, each with its end, and one end more; two where there is no string.
    let end = rest.windows(2).position(|pair| pair == [0, 0])?;
    let strings = rest.get(..end)?;
    let number = |at: usize| formatted.get(at).copied().unwrap_or(0);
    match kind {
        FIRMWARE => machine.firmware = [4, 5, 8].map(|at| string(strings, number(at))),
        SYSTEM => {
            machine.manufacturer = string(strings, number(4));
            machine.product = string(strings, number(5));
        }
        END => return None,
        _ => {}
    }
    rest.get(end + 2..)
}

/// String `number`, counted from 1, as far as it is of printable ASCII; nothing for 0, and for what a firmware's makers forgot to
/// fill in.
fn string<const N: usize>(strings: &[u8], number: u8) -> ArrayString<N> {
    const FORGOTTEN: [&str; 4] =
        ["To Be Filled By O.E.M.", "System manufacturer", "System Product Name", "Default string"];
    let mut text = ArrayString::new();
    let wanted = usize::from(number).checked_sub(1).and_then(|index| strings.split(|byte| *byte == 0).nth(index));
    for byte in wanted.unwrap_or_default().trim_ascii() {
        if !matches!(byte, b' '..=b'~') || text.try_push(char::from(*byte)).is_err() {
            break;
        }
    }
    if FORGOTTEN.contains(&text.as_str()) {
        text.clear();
    }
    text
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: u64 = 0xf_1000;

    fn structure(kind: u8, formatted: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, 4 + formatted.len() as u8, 0, 0];
        bytes.extend(formatted);
        strings.iter().for_each(|string| bytes.extend([string.as_bytes(), &[0]].concat()));
        bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
        bytes
    }

    fn structures(manufacturer: &str, product: &str) -> Vec<u8> {
        let firmware = structure(FIRMWARE, &[1, 2, 0, 0, 3], &["SeaBIOS", "1.16", "04/01/2014"]);
        [
            firmware,
            structure(9, &[], &[]),
            structure(SYSTEM, &[1, 2, 0], &[manufacturer, product]),
            structure(END, &[], &[]),
        ]
        .concat()
    }

    fn checksummed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        bytes[at] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
        bytes
    }

    fn entry_2(address: u32, length: u16) -> Vec<u8> {
        let mut bytes = vec![0; 31];
        bytes[..6].copy_from_slice(b"_SM_\0\x1f");
        bytes[0x10..0x15].copy_from_slice(b"_DMI_");
        bytes[0x16..0x18].copy_from_slice(&length.to_le_bytes());
        bytes[0x18..0x1c].copy_from_slice(&address.to_le_bytes());
        checksummed(bytes, 4)
    }

    fn entry_3(address: u64, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes[..7].copy_from_slice(b"_SM3_\0\x18");
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        bytes[16..24].copy_from_slice(&address.to_le_bytes());
        checksummed(bytes, 5)
    }

    /// The BIOS's area with these bytes at these places.
    fn area(pieces: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let mut area = vec![0xff; SEARCH_BYTES];
        for (at, bytes) in pieces {
            area[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        area
    }

    fn search(area: &[u8]) -> Option<String> {
        let mut read = |address: u64, bytes: usize| {
            area.get(usize::try_from(address.checked_sub(SEARCH_START)?).ok()?..)?.get(..bytes)
        };
        by_search(&mut read).map(|machine| machine.to_string())
    }

    #[test]
    fn a_bios_is_searched_for_both_kinds_of_entry_points() {
        let table = structures("QEMU", "Standard PC");
        let length = table.len();
        for entry in [entry_2(TABLE as u32, length as u16), entry_3(TABLE, 60_000)] {
            // The second says how long the table may be at most: it ends before.
            let pieces = [(0x60, b"_SM_ but not really".to_vec()), (0x5f0, entry), (0x1000, table.clone())];
            assert_eq!(search(&area(&pieces)).as_deref(), Some("QEMU Standard PC"));
        }
        assert_eq!(search(&area(&[])), None);
        assert_eq!(search(&area(&[(8, entry_3(TABLE, 60)), (0x1000, table)])), None, "not where it may be");
    }

    #[test]
    fn uefi_names_the_entry_point() {
        let table = structures("LENOVO", "ThinkPad X1");
        let mut system = vec![0; 120];
        system[..8].copy_from_slice(b"IBI SYST");
        system[104] = 2;
        system[112..120].copy_from_slice(&0x2000_u64.to_le_bytes());
        let entries = [&[7; 24][..], &SMBIOS_3, &0x3000_u64.to_le_bytes()].concat();
        let mut entry = entry_3(0x4000, table.len() as u32);
        entry.resize(ENTRY_POINT_BYTES, 0);
        let memory = [(0x1000, system), (0x2000, entries), (0x3000, entry), (0x4000, table)];
        let mut read = |address: u64, bytes: usize| {
            let (_, found) = memory.iter().find(|(start, _)| *start == address)?;
            found.get(..bytes)
        };
        assert_eq!(by_system_table(0x1000, &mut read).unwrap().to_string(), "LENOVO ThinkPad X1");
        assert_eq!(by_system_table(0x2000, &mut read), None);
    }

    #[test]
    fn what_nobody_filled_in_is_no_name() {
        let name = |manufacturer: &str, product: &str| {
            machine(&structures(manufacturer, product)).map(|it| it.to_string()).filter(|name| !name.is_empty())
        };
        assert_eq!(name("To Be Filled By O.E.M.", "Z97 Pro4"), Some("Z97 Pro4".into()));
        assert_eq!(name("Dell Inc.  ", "Default string"), Some("Dell Inc.".into()));
        assert_eq!(name("System manufacturer", "System Product Name"), None);
        assert_eq!(name("Acme\u{1b}[2J", "\u{7}"), Some("Acme".into()), "nothing reaches the terminal but text");
    }

    #[test]
    fn firmware_is_named_too() {
        let found = machine(&structures("QEMU", "Standard PC")).unwrap();
        assert_eq!(found.firmware.each_ref().map(|text| text.as_str()), ["SeaBIOS", "1.16", "04/01/2014"]);
        let alone = machine(&structure(FIRMWARE, &[1], &["Acme"])).unwrap();
        assert_eq!((alone.firmware[0].as_str(), alone.to_string().as_str()), ("Acme", ""));
    }

    #[test]
    fn a_table_that_does_not_end_has_no_name() {
        let table = structures("a", "b");
        for length in 0..table.len() - 6 {
            machine(&table[..length]);
        }
        assert_eq!(machine(&[1, 0, 0, 0, 0, 0]), None, "a structure of no length");
        assert_eq!(machine(&structure(END, &[], &[])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0_usize..64) {
            machine(&bytes);
            entry_point(&bytes);
            search(&area(&[(at * 16, entry_3(TABLE, bytes.len() as u32)), (0x1000, bytes.clone())]));
            let mut read = |_: u64, length: usize| bytes.get(..length);
            by_system_table(0, &mut read);
        }
    }
}
