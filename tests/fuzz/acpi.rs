//! Fuzz target: whatever tables a firmware leaves, and whatever lies where it says tables are, reading them ends, touches nothing
//! but memory that was given out, and what comes of it keeps its promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::acpi::{MAX_TABLE_BYTES, power, read};
use logic::boot::Rsdp;

/// Where the memory begins that the tables are in.
const BASE: u64 = 0xffff_f000;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else { return };
    // As it is, or with lengths and checksums made true, so that the fuzzer need not find them out.
    let (memory, revision) = if mode & 1 == 0 { (data.to_vec(), mode & 2) } else { (sound_tables(data), 2) };
    let root = Rsdp { revision, root_table: BASE };
    let mut complaints = 0;
    let mut map = |address: u64, bytes: usize| {
        assert!(bytes <= MAX_TABLE_BYTES, "more than a table was asked for");
        let offset = usize::try_from(address.checked_sub(BASE)?).ok()?;
        memory.get(offset..)?.get(..bytes)
    };
    let platform = read(root, &mut map, &mut |complaint| {
        assert!(!complaint.to_string().is_empty());
        complaints += 1;
    });
    assert!(complaints <= 4 * memory.len() + 1, "more complaints than there is to complain of");
    assert!(platform.cpus.iter().all(|cpu| cpu.apic_id != u32::MAX));
    assert!((1..platform.cpus.len()).all(|index| platform.cpus[..index].iter().all(|cpu| cpu.apic_id != platform.cpus[index].apic_id)));
    assert!(platform.overrides.iter().all(|entry| entry.isa_irq < 16));
    assert!(platform.ecam.iter().all(|region| region.base != 0 && region.first_bus <= region.last_bus));
    assert!(platform.io_apics.iter().all(|io_apic| io_apic.address != 0));
    if let Some(fixed) = platform.fixed {
        assert!(fixed.s5.is_none_or(|(a, b)| a < 8 && b < 8));
        assert!(!fixed.hardware_reduced || (fixed.pm1a_control.is_none() && fixed.pm_timer.is_none()));
    }
    assert!(!power::power_off(&platform).is_empty() && !power::reboot(&platform).is_empty());
    assert!(!platform.to_string().is_empty());
});

/// A root table and the tables it names: each is made of a byte for its kind, one for its revision, two for its body's length,
/// and the body.
fn sound_tables(mut data: &[u8]) -> Vec<u8> {
    const SIGNATURES: [&[u8; 4]; 6] = [b"APIC", b"FACP", b"HPET", b"MCFG", b"SSDT", b"DSDT"];
    let mut tables = Vec::new();
    while let [kind, revision, low, high, rest @ ..] = data {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, after) = rest.split_at(length);
        tables.push(table(SIGNATURES[usize::from(*kind) % SIGNATURES.len()], *revision, body));
        data = after;
    }
    let mut address = BASE + 36 + 8 * tables.len() as u64;
    let mut entries = Vec::new();
    for table in &tables {
        entries.extend(address.to_le_bytes());
        address += table.len() as u64;
    }
    let mut memory = table(b"XSDT", 1, &entries);
    memory.extend(tables.concat());
    memory
}

fn table(signature: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = [signature, &(36 + body.len() as u32).to_le_bytes(), &[revision, 0][..], &[0; 26], body].concat();
    bytes[9] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes
}
