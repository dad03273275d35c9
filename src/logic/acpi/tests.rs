//! Tests of ACPI tables: those of real machines in shape, and every kind of lie.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::power::{Attempt, power_off, reboot};
use super::*;
use crate::boot::Rsdp;
use proptest::prelude::*;

/// Physical memory with tables in it, here and there, as a firmware may leave them.
#[derive(Default)]
struct Memory(Vec<(u64, Vec<u8>)>);

impl Memory {
    fn put(&mut self, address: u64, bytes: Vec<u8>) -> u64 {
        self.0.push((address, bytes));
        address
    }

    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.0.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(offset..)?.get(..length)
        })
    }

    /// The platform, and what was complained of.
    fn platform(&self, root: Rsdp) -> (Platform, Vec<Complaint>) {
        let mut complaints = Vec::new();
        let mut map = |address, length| self.read(address, length);
        let platform = read(root, &mut map, &mut |complaint| complaints.push(complaint));
        (platform, complaints)
    }
}

const XSDT: u64 = 0x1_2345_6fff;

/// Puts `tables` anywhere and an XSDT that names them at [`XSDT`].
fn machine(tables: &[Vec<u8>]) -> (Memory, Rsdp) {
    let mut memory = Memory::default();
    // Unaligned, above 4 GiB, 1 MiB apart.
    let mut addresses: Vec<u64> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        addresses.push(memory.put(0x1_8000_0ffb + ((index as u64) << 20), table.clone()));
    }
    let entries = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    memory.put(XSDT, table(b"XSDT", 1, entries));
    (memory, Rsdp { revision: 2, root_table: XSDT })
}

/// What the tables say, without the list of them.
fn parse(tables: &[Vec<u8>]) -> (Platform, Vec<Flaw>) {
    let (memory, root) = machine(tables);
    let (mut platform, complaints) = memory.platform(root);
    platform.tables.clear();
    (platform, complaints.into_iter().map(|complaint| complaint.flaw).collect())
}

/// A table with a true header and checksum.
fn table(signature: &[u8; 4], revision: u8, body: Vec<u8>) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.extend([revision, 0]);
    bytes.extend(*b"ERES  TESTTABL\x01\0\0\0ERES\x01\0\0\0");
    assert_eq!(bytes.len(), 36);
    bytes.extend(body);
    with_checksum(bytes)
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[9] = 0;
    bytes[9] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes
}

fn madt(flags: u32, entries: &[&[u8]]) -> Vec<u8> {
    let body = [&0xfee0_0000_u32.to_le_bytes()[..], &flags.to_le_bytes(), &entries.concat()].concat();
    table(b"APIC", 3, body)
}

/// A FADT of `length` bytes with fields set at their offsets in the specification.
fn fadt(revision: u8, length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = table(b"FACP", revision, vec![0; length - 36]);
    for (offset, field) in fields {
        bytes[*offset..offset + field.len()].copy_from_slice(field);
    }
    with_checksum(bytes)
}

fn generic(space: u8, address: u64) -> Vec<u8> {
    [&[space, 8, 0, 1][..], &address.to_le_bytes()].concat()
}

/// The 116 bytes of ACPI 1.0, as QEMU's `pc` has them, with the DSDT at `dsdt`.
fn old_fadt(dsdt: u32) -> Vec<u8> {
    let fields: [(usize, &[u8]); 9] = [
        (40, &dsdt.to_le_bytes()),
        (46, &[9, 0]),
        (48, &0xb2_u32.to_le_bytes()),
        (52, &[0xf1]),
        (64, &0x604_u32.to_le_bytes()),
        (76, &0x608_u32.to_le_bytes()),
        (91, &[4]),
        (108, &[0x32]),
        (112, &0x84a5_u32.to_le_bytes()),
    ];
    fadt(1, 116, &fields)
}

/// `Name(\_S5, Package { 5, 6, 0, 0 })` among other code.
const AML: &[u8] = b"\x10\x05_SB_\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00\x5b\x82";

#[test]
fn an_empty_root_is_a_machine_of_old() {
    let (platform, flaws) = parse(&[]);
    assert_eq!((platform, flaws), (Platform::without_acpi(), vec![]));
}

#[test]
fn a_root_that_is_missing_or_damaged_costs_everything_and_is_complained_of() {
    let (memory, root) = machine(&[madt(1, &[])]);
    let lost = |memory: &Memory, root: Rsdp| {
        let (platform, complaints) = memory.platform(root);
        assert_eq!(platform, Platform::without_acpi());
        assert_eq!(complaints.len(), 1);
        complaints[0].flaw
    };
    assert_eq!(lost(&memory, Rsdp { root_table: 0x77, ..root }), Flaw::Unreachable);
    assert_eq!(lost(&memory, Rsdp { root_table: u64::MAX, ..root }), Flaw::Unreachable);
    assert_eq!(lost(&memory, Rsdp { revision: 0, ..root }), Flaw::Signature);
    let mut damaged = table(b"XSDT", 1, vec![]);
    damaged[20] ^= 1;
    let damaged_memory = Memory(vec![(XSDT, damaged)]);
    assert_eq!(lost(&damaged_memory, root), Flaw::Checksum);
}

#[test]
fn an_rsdt_has_addresses_of_four_bytes() {
    let mut memory = Memory::default();
    memory.put(0x7ff_fff1, madt(1, &[&[0, 8, 0, 0, 1, 0, 0, 0]]));
    memory.put(0xe_0000, table(b"RSDT", 1, 0x7ff_fff1_u32.to_le_bytes().to_vec()));
    let (platform, complaints) = memory.platform(Rsdp { revision: 0, root_table: 0xe_0000 });
    assert_eq!((platform.cpus.len(), complaints), (1, vec![]));
}

#[test]
fn processors_and_interrupt_controllers_are_read_from_the_madt() {
    let (platform, flaws) = parse(&[madt(
        1,
        &[
            &[0, 8, 0, 0, 1, 0, 0, 0],
            &[0, 8, 1, 2, 0, 0, 0, 0],
            &[0, 8, 9, 0xff, 1, 0, 0, 0],
            &[9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0],
            // The first processor once more, as firmware with both kinds of entry lists it.
            &[9, 16, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[1, 12, 8, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[2, 10, 0, 5, 5, 0, 0, 0, 0x0d, 0],
            &[2, 10, 0, 5, 6, 0, 0, 0, 0, 0],
            &[2, 10, 1, 3, 3, 0, 0, 0, 0x0f, 0],
            &[2, 10, 0, 16, 3, 0, 0, 0, 0x0f, 0],
            &[3, 8, 0x0f, 0, 20, 0, 0, 0],
            &[4, 6, 0xff, 0, 0, 1],
            &[4, 6, 1, 5, 0, 0],
            &[10, 12, 0x0f, 0, 7, 0, 0, 0, 1, 0, 0, 0],
            &[5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0],
            &[0x80, 3, 0xff],
        ],
    )]);
    assert_eq!(flaws, vec![]);
    let cpus = [(0, 0, true), (2, 1, false), (300, 7, true)];
    let cpus = cpus.map(|(apic_id, processor_uid, usable)| Cpu { apic_id, processor_uid, usable });
    assert_eq!(platform.cpus[..], cpus);
    assert!(platform.has_8259);
    assert_eq!(platform.local_apic_address, Some(0x1_fee0_0000));
    assert_eq!(platform.io_apics[..], [IoApic { id: 8, address: 0xfec0_0000, gsi_base: 0 }]);
    let timer = Override { isa_irq: 0, gsi: 2, active_low: false, level: false };
    let five = Override { isa_irq: 5, gsi: 5, active_low: false, level: true };
    assert_eq!(platform.overrides[..], [timer, five]);
    assert_eq!(platform.nmi_sources[..], [NmiSource { gsi: 20, active_low: true, level: true }]);
    let nmi = |processor_uid, lint, both| LocalNmi { processor_uid, lint, active_low: both, level: both };
    assert_eq!(platform.local_nmis[..], [nmi(None, 1, false), nmi(Some(1), 0, false), nmi(Some(7), 1, true)]);
    assert_eq!(platform.to_string(), "2 CPUs, 1 I/O APIC");
}

#[test]
fn a_madt_entry_of_an_impossible_length_ends_the_list_and_what_came_before_counts() {
    let good: &[u8] = &[0, 8, 0, 0, 1, 0, 0, 0];
    for bad in [&[0, 0, 1, 1][..], &[0, 1, 1, 1], &[0, 8, 1], &[0, 255, 1, 1, 1, 0, 0, 0], &[0]] {
        let (platform, flaws) = parse(&[madt(0, &[good, bad])]);
        assert_eq!((platform.cpus.len(), flaws), (1, vec![Flaw::Entry]), "{bad:?}");
    }
}

#[test]
fn a_madt_entry_shorter_than_its_kind_is_passed_over() {
    let good: &[u8] = &[0, 8, 0, 0, 1, 0, 0, 0];
    for kind in [0, 1, 2, 3, 4, 5, 9, 10] {
        let (platform, flaws) = parse(&[madt(0, &[&[kind, 3, 1], good])]);
        assert_eq!((platform.cpus.len(), flaws), (1, vec![Flaw::Entry]), "{kind}");
    }
}

#[test]
fn too_many_processors_are_counted_and_those_that_are_there_go_before() {
    let entry = |id: u32, flags: u8| {
        let [a, b, c, d] = id.to_le_bytes();
        vec![9, 16, 0, 0, a, b, c, d, flags, 0, 0, 0, a, b, c, d]
    };
    let mut entries: Vec<Vec<u8>> = (0..MAX_CPUS as u32 - 1).map(|id| entry(id, 1)).collect();
    entries.extend([entry(600, 2), entry(601, 1), entry(602, 1)]);
    let (platform, flaws) = parse(&[madt(0, &entries.iter().map(Vec::as_slice).collect::<Vec<_>>())]);
    assert_eq!((platform.cpus.len(), platform.cpus_left_out, flaws), (MAX_CPUS, 1, vec![]));
    assert!(platform.cpus.iter().all(|cpu| cpu.usable) && platform.cpus.iter().any(|cpu| cpu.apic_id == 601));
}

#[test]
fn an_interrupt_override_that_conforms_to_the_bus_is_level_and_low_for_the_system_control_interrupt_alone() {
    let entries: [&[u8]; 2] = [&[2, 10, 0, 9, 20, 0, 0, 0, 0, 0], &[2, 10, 0, 10, 10, 0, 0, 0, 0, 0]];
    let (platform, _) = parse(&[old_fadt(0), madt(1, &entries)]);
    let wiring = |entry: &Override| (entry.isa_irq, entry.active_low, entry.level);
    assert_eq!(platform.overrides.iter().map(wiring).collect::<Vec<_>>(), [(9, true, true), (10, false, false)]);
    assert_eq!(platform.fixed.unwrap().sci_gsi, 20);
}

#[test]
fn a_fadt_of_acpi_1_is_read_by_its_own_length() {
    let (mut memory, root) = machine(&[old_fadt(0x7fe_0000)]);
    memory.put(0x7fe_0000, table(b"DSDT", 1, AML.to_vec()));
    let (platform, complaints) = memory.platform(root);
    assert_eq!(complaints, vec![]);
    assert_eq!(
        platform.fixed,
        Some(FixedHardware {
            pm1a_control: Some(Address::Port(0x604)),
            pm1b_control: None,
            smi_command: Some(0xb2),
            acpi_enable: 0xf1,
            pm_timer: Some(PmTimer { address: Address::Port(0x608), bits: 24 }),
            reset: None,
            sci_gsi: 9,
            century_register: Some(0x32),
            has_8042: None,
            has_vga: None,
            has_cmos_clock: None,
            hardware_reduced: false,
            sleep_control: None,
            s5: Some((5, 6)),
        })
    );
    assert_eq!(platform.to_string(), "0 CPUs, 0 I/O APICs, PM timer");
}

#[test]
fn extended_fields_of_a_fadt_win_when_they_name_a_place_that_can_be_reached() {
    let (control, timer) = (generic(0, 0xfed0_0004), generic(1, 0x1808));
    let old: [(usize, &[u8]); 5] = [
        (64, &0x1804_u32.to_le_bytes()),
        (76, &0x608_u32.to_le_bytes()),
        (91, &[4]),
        (109, &[0b10_0110, 0]),
        (112, &(1_u32 << 8).to_le_bytes()),
    ];
    let fixed = |extra: &[(usize, &[u8])]| parse(&[fadt(5, 268, &[&old[..], extra].concat())]).0.fixed.unwrap();

    let extended = fixed(&[(172, &control), (208, &timer)]);
    assert_eq!(extended.pm1a_control, Some(Address::Memory(0xfed0_0004)));
    assert_eq!(extended.pm_timer, Some(PmTimer { address: Address::Port(0x1808), bits: 32 }));
    assert_eq!((extended.has_8042, extended.has_vga, extended.has_cmos_clock), (Some(true), Some(false), Some(false)));

    // Zero, a port past the last, a kind of address that nobody knows.
    for useless in [generic(1, 0), generic(1, 0x1_0000), generic(0x55, 0x1800), generic(3, 0x1800)] {
        let legacy = fixed(&[(172, &useless), (208, &useless)]);
        assert_eq!(legacy.pm1a_control, Some(Address::Port(0x1804)));
        assert_eq!(legacy.pm_timer.unwrap().address, Address::Port(0x608));
    }
}

#[test]
fn the_reset_register_counts_only_where_the_flags_say_so() {
    let reset = |supported: bool, register: &[u8]| {
        let flags = u32::from(supported) << 10;
        parse(&[fadt(3, 244, &[(112, &flags.to_le_bytes()), (116, register), (128, &[6])])]).0.fixed.unwrap().reset
    };
    let at = |register| Some(Reset { register, value: 6 });
    assert_eq!(reset(true, &generic(1, 0xcf9)), at(ResetRegister::At(Address::Port(0xcf9))));
    assert_eq!(reset(true, &generic(0, 0xfed1_0000)), at(ResetRegister::At(Address::Memory(0xfed1_0000))));
    let pci = ResetRegister::Pci { device: 31, function: 3, offset: 0xac };
    assert_eq!(reset(true, &generic(2, 0x001f_0003_00ac)), at(pci));
    assert_eq!(reset(true, &generic(2, 0x0020_0003_00ac)), None);
    assert_eq!(reset(true, &generic(2, 0x001f_0003_01ac)), None);
    assert_eq!(reset(false, &generic(1, 0xcf9)), None);
    assert_eq!(reset(true, &generic(1, 0)), None);
}

#[test]
fn a_hardware_reduced_machine_has_a_sleep_control_register_and_no_other() {
    let flags = (1_u32 << 20 | 1 << 10).to_le_bytes();
    let (sleep, reset) = (generic(0, 0xfea0_0004), generic(1, 0x604));
    let fields: [(usize, &[u8]); 6] = [
        (64, &0x604_u32.to_le_bytes()),
        (76, &0x608_u32.to_le_bytes()),
        (91, &[4]),
        (112, &flags),
        (116, &reset),
        (244, &sleep),
    ];
    let platform = parse(&[fadt(5, 268, &fields), table(b"SSDT", 1, AML.to_vec())]).0;
    let fixed = platform.fixed.unwrap();
    assert!(fixed.hardware_reduced && fixed.pm1a_control.is_none() && fixed.pm_timer.is_none());
    assert_eq!(fixed.sleep_control, Some(Address::Memory(0xfea0_0004)));
    assert_eq!(power_off(&platform)[0], Attempt::Register(Address::Memory(0xfea0_0004), 5 << 2 | 1 << 5));
}

#[test]
fn the_hpet_and_ecam_are_found_and_impossible_ones_are_not() {
    let hpet = |space, length: usize| {
        let mut body = [&0x8086_a201_u32.to_le_bytes()[..], &generic(space, 0xfed0_0000), &[2, 0x80, 0x37, 0]].concat();
        body.truncate(length);
        table(b"HPET", 1, body)
    };
    let ecam = |base: u64, first, last| {
        let body = [&[0; 8][..], &base.to_le_bytes(), &[1, 0, first, last, 0, 0, 0, 0], &[0; 7]].concat();
        table(b"MCFG", 1, body)
    };
    let (platform, flaws) = parse(&[hpet(0, 99), ecam(0xb000_0000, 0, 255)]);
    assert_eq!(platform.hpet, Some(Hpet { address: 0xfed0_0000, number: 2, minimum_tick: 0x3780 }));
    let region = EcamRegion { base: 0xb000_0000, segment: 1, first_bus: 0, last_bus: 255 };
    assert_eq!((&platform.ecam[..], flaws), (&[region][..], vec![]));
    assert_eq!(platform.to_string(), "0 CPUs, 0 I/O APICs, HPET, PCIe ECAM");

    assert_eq!(parse(&[hpet(1, 99)]).0.hpet, None);
    assert_eq!(parse(&[hpet(0, 12)]), (Platform::without_acpi(), vec![Flaw::Length(48)]));
    for impossible in [ecam(0, 0, 255), ecam(0xb000_0000, 9, 8), ecam(u64::MAX - 4095, 0, 0)] {
        assert_eq!(parse(&[impossible]), (Platform::without_acpi(), vec![Flaw::Entry]));
    }
}

#[test]
fn all_tables_are_listed_whatever_becomes_of_them() {
    let (memory, root) = machine(&[table(b"HPET", 7, vec![0; 3]), table(b"ABCD", 1, vec![])]);
    let (platform, _) = memory.platform(root);
    let listed: Vec<_> = platform.tables.iter().map(|table| (table.signature, table.length, table.revision)).collect();
    assert_eq!(listed, [(*b"HPET", 39, 7), (*b"ABCD", 36, 1)]);
    assert_eq!((&platform.tables[0].oem, platform.tables[0].address), (b"ERES  ", 0x1_8000_0ffb));
}

#[test]
fn a_damaged_table_costs_itself_and_a_later_one_of_its_kind_takes_its_place() {
    let good = madt(1, &[&[0, 8, 0, 0, 1, 0, 0, 0]]);
    let mut damaged = good.clone();
    damaged[40] ^= 0x10;
    let mut endless = good.clone();
    endless[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut headless = good.clone();
    headless[4..8].copy_from_slice(&35_u32.to_le_bytes());
    let (platform, flaws) = parse(&[damaged, endless, headless, good]);
    assert_eq!(platform.cpus.len(), 1);
    assert_eq!(flaws, vec![Flaw::Checksum, Flaw::Length(u32::MAX), Flaw::Length(35)]);
}

#[test]
fn more_tables_than_there_is_room_for_are_left_out_with_one_complaint() {
    let tables: Vec<_> = (0..300).map(|_| table(b"SSDT", 1, vec![])).collect();
    assert_eq!(parse(&tables), (Platform::without_acpi(), vec![Flaw::TooMany]));
}

#[test]
fn sleep_types_are_found_in_every_form_that_constants_have() {
    let s5 = |code: &[u8]| sleep::s5(code);
    assert_eq!(s5(AML), Some((5, 6)));
    assert_eq!(s5(b"\x08_S5_\x12\x06\x04\x00\x01\x00\x00"), Some((0, 1)));
    assert_eq!(s5(b"\x08_S5_\x12\x08\x02\x0b\x07\x00\x0b\x02\x00"), Some((7, 2)));
    assert_eq!(s5(b"\x08_S5_\x12\x0c\x02\x0c\x07\x00\x00\x00\x0c\x02\x00\x00\x00"), Some((7, 2)));
    // The length in two bytes, and both types in one constant.
    assert_eq!(s5(b"\x08_S5_\x12\x47\x00\x02\x0a\x03\x0a\x04"), Some((3, 4)));
    assert_eq!(s5(b"\x08_S5_\x12\x05\x01\x0b\x03\x04"), Some((3, 4)));
}

#[test]
fn what_only_looks_like_sleep_types_is_none() {
    let none = |code: &[u8]| assert_eq!(sleep::s5(code), None, "{}", code.escape_ascii());
    none(b"");
    none(b"_S5_\x12\x06\x04\x00\x01\x00\x00");
    none(b"\x14_S5_\x12\x06\x04\x00\x01\x00\x00");
    none(b"\x08_S5_\x0d\x06\x04\x00\x01\x00\x00");
    none(b"\x08_S5_\x12");
    none(b"\x08_S5_\x12\x02\x00");
    none(b"\x08_S5_\x12\x03\x02\x05\x01");
    none(b"\x08_S5_\x12\x06\x02\x0a\x08\x0a\x01");
    none(b"\x08_S5_\x12\x3f\x02\x0a\x01\x0a\x01");
    none(b"\x08_S5_\x12\xff\x02\x0a\x01\x0a\x01");
    none(b"\x08_S5_\x12\x00\x02\x0a\x01\x0a\x01");
}

#[test]
fn a_machine_without_acpi_is_ended_by_the_ways_of_old() {
    let platform = Platform::without_acpi();
    let names = |plan: power::Plan| plan.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(power_off(&platform)), ["port 0x604", "port 0xb004", "port 0x8900"]);
    assert_eq!(names(reboot(&platform)), ["port 0xcf9", "keyboard controller", "triple fault"]);
}

#[test]
fn acpi_ends_a_machine_first_and_an_absent_keyboard_controller_is_not_asked() {
    let fixed = FixedHardware {
        pm1b_control: Some(Address::Port(0x1904)),
        reset: Some(Reset { register: ResetRegister::Pci { device: 31, function: 0, offset: 0xac }, value: 6 }),
        has_8042: Some(false),
        s5: Some((5, 6)),
        ..parse(&[old_fadt(0)]).0.fixed.unwrap()
    };
    let platform = Platform { fixed: Some(fixed), ..Platform::default() };
    let sleep = Attempt::Sleep {
        a: (Address::Port(0x604), 5),
        b: Some((Address::Port(0x1904), 6)),
        enable: Some((0xb2, 0xf1)),
    };
    assert_eq!(power_off(&platform)[0], sleep);
    let pci = Attempt::PciRegister { device: 31, function: 0, offset: 0xac, value: 6 };
    assert_eq!(reboot(&platform)[..], [pci, Attempt::Bytes(0xcf9, &[2, 6]), Attempt::TripleFault]);
    // Without sleep types there is nothing to write.
    let platform = Platform { fixed: Some(FixedHardware { s5: None, ..fixed }), ..platform };
    assert!(matches!(power_off(&platform)[0], Attempt::Word(..)));
}

#[test]
fn a_sleep_type_replaces_the_one_before_and_leaves_other_bits() {
    assert_eq!(power::with_sleep_type(u16::MAX, 5), !(0b10 << 10 | power::SLEEP_ENABLE));
    assert_eq!(power::with_sleep_type(power::SCI_ENABLE, 7), 7 << 10 | 1);
}

proptest! {
    #[test]
    fn any_body_of_any_table_is_read_without_a_panic(
        bodies in proptest::collection::vec((0_usize..7, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..8),
    ) {
        let signatures = [b"APIC", b"FACP", b"HPET", b"MCFG", b"SSDT", b"DSDT", b"XSDT"];
        let tables: Vec<_> = bodies.into_iter().map(|(kind, revision, body)| table(signatures[kind], revision, body)).collect();
        let (platform, _) = parse(&tables);
        prop_assert!(power_off(&platform).len() >= 3 && reboot(&platform).len() >= 2);
        prop_assert!(platform.ecam.iter().all(|region| region.first_bus <= region.last_bus));
        prop_assert!(platform.overrides.iter().all(|entry| entry.isa_irq < 16));
    }

    #[test]
    fn any_damage_to_one_table_leaves_the_others_alone(
        at in any::<proptest::sample::Index>(),
        change in 1_u8..,
    ) {
        let mut damaged = madt(1, &[&[0, 8, 0, 0, 1, 0, 0, 0], &[1, 12, 8, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]]);
        let at = at.index(damaged.len());
        damaged[at] ^= change;
        let (platform, flaws) = parse(&[damaged, old_fadt(0)]);
        prop_assert!(platform.fixed.is_some());
        // One byte changed never keeps the sum; a changed signature is another table, which nobody looks at.
        prop_assert!(platform.cpus.is_empty() && (at < 4 || flaws.len() == 1), "{flaws:?}");
    }
}
