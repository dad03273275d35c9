//! Tests of enumeration over made-up machines, honest ones and others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::fake::{FakeFunction, FakeSpace};
use super::*;
use crate::irq::routing::MsiMessage;
use proptest::prelude::*;

const ALL: BusRange = BusRange { segment: 0, first: 0, last: 255, sweep: Sweep::IfSeveralHosts };
const NETWORK: u32 = 0x02_0000;

fn at(bus: u8, device: u8, function: u8) -> PciAddress {
    PciAddress::new(0, bus, device, function)
}

/// What is found, and the complaints. Whatever the space is, it is as before afterwards.
#[track_caller]
fn find_in(space: &FakeSpace, ranges: &[BusRange]) -> (Vec<Function>, Vec<Complaint>) {
    let before = space.registers();
    let mut complaints = Vec::new();
    let functions = enumerate(space, ranges, &mut |complaint| complaints.push(complaint)).unwrap();
    assert!(before == space.registers(), "something was not restored");
    assert!(!space.was_careless.get(), "a base address register was changed while its function decoded");
    (functions, complaints)
}

#[track_caller]
fn find(space: &FakeSpace) -> (Vec<Function>, Vec<Complaint>) {
    find_in(space, &[ALL])
}

/// The only function, without complaints.
#[track_caller]
fn only(function: FakeFunction) -> Function {
    let (functions, complaints) = find(&FakeSpace::new([((0, 3, 0), function)]));
    assert_eq!(complaints, []);
    assert_eq!(functions.len(), 1);
    functions[0].clone()
}

fn addresses(functions: &[Function]) -> Vec<String> {
    functions.iter().map(|function| function.address.to_string()).collect()
}

#[test]
fn an_empty_bus_has_nothing() {
    let (functions, complaints) = find(&FakeSpace::default());
    assert_eq!((functions, complaints), (vec![], vec![]));
}

#[test]
fn empty_slots_that_answer_zeros_are_empty() {
    assert_eq!(find(&FakeSpace::everywhere(FakeFunction::new(0, 0, 0))).0, []);
}

#[test]
fn functions_beyond_the_first_are_looked_for_where_the_header_says_so() {
    let several = FakeFunction::host_bridge().with(0x0c, 0x80 << 16);
    let single = FakeFunction::new(1, 2, NETWORK);
    let space = FakeSpace::new([
        ((0, 0, 0), several),
        ((0, 0, 5), single.clone()),
        ((0, 7, 0), single.clone()),
        ((0, 7, 1), single.clone()),
        ((0, 9, 1), single),
    ]);
    let (functions, complaints) = find(&space);
    assert_eq!(addresses(&functions), ["0000:00:00.0", "0000:00:00.5", "0000:00:07.0"]);
    assert_eq!(complaints, []);
}

#[test]
fn bridges_are_followed_however_deep() {
    let mut all: Vec<_> = (0..255).map(|bus| ((bus, 1, 0), FakeFunction::bridge(bus + 1, 255))).collect();
    all.push(((255, 31, 0), FakeFunction::new(1, 2, NETWORK)));
    let (functions, complaints) = find(&FakeSpace::new(all));
    assert_eq!((functions.len(), complaints), (256, vec![]));
    assert_eq!(functions[255].address, at(255, 31, 0));
}

#[test]
fn bridges_lead_to_the_buses_that_firmware_has_given_them() {
    let leads = |secondary, subordinate| only(FakeFunction::bridge(secondary, subordinate)).leads_to(at(4, 0, 0));
    assert!(leads(4, 4) && leads(2, 9));
    assert!(!leads(5, 9) && !leads(0, 9) && !leads(4, 3));
    assert!(!only(FakeFunction::bridge(4, 4)).leads_to(PciAddress::new(1, 4, 0, 0)));
    assert!(!only(FakeFunction::new(1, 2, NETWORK)).leads_to(at(0, 3, 0)));
}

#[test]
fn every_bus_is_visited_once_and_what_leads_there_again_is_told() {
    let space = FakeSpace::new([
        ((0, 1, 0), FakeFunction::bridge(1, 9)),
        ((0, 2, 0), FakeFunction::bridge(1, 1)),
        ((0, 3, 0), FakeFunction::bridge(0, 0)),
        ((1, 0, 0), FakeFunction::bridge(2, 2)),
        ((2, 0, 0), FakeFunction::bridge(2, 2)),
        ((2, 1, 0), FakeFunction::bridge(1, 5)),
    ]);
    let (functions, complaints) = find(&space);
    assert_eq!(functions.len(), 6);
    assert_eq!(
        complaints,
        [Complaint::BusTwice(at(0, 2, 0), 1), Complaint::BusTwice(at(2, 0, 0), 2), Complaint::BusTwice(at(2, 1, 0), 1)]
    );
}

#[test]
fn buses_out_of_range_are_told_and_not_visited() {
    let space = FakeSpace::new([((0, 1, 0), FakeFunction::bridge(64, 70)), ((64, 0, 0), FakeFunction::host_bridge())]);
    let (functions, complaints) = find_in(&space, &[BusRange { last: 63, ..ALL }]);
    assert_eq!(addresses(&functions), ["0000:00:01.0"]);
    assert_eq!(complaints, [Complaint::NoSuchBus(at(0, 1, 0), 64)]);
    assert_eq!(complaints[0].to_string(), "bridge 0000:00:01.0 leads to bus 40, which cannot be");
}

#[test]
fn ranges_of_one_segment_belong_together_and_segments_are_apart() {
    let network = || FakeFunction::new(1, 2, NETWORK);
    let space = FakeSpace::of([
        (PciAddress::new(0, 0, 1, 0), FakeFunction::bridge(130, 130)),
        (PciAddress::new(0, 130, 0, 0), network()),
        (PciAddress::new(0, 128, 3, 0), network()),
        (PciAddress::new(7, 16, 0, 0), FakeFunction::bridge(17, 17)),
        (PciAddress::new(7, 17, 0, 0), network()),
        (PciAddress::new(8, 0, 0, 0), network()),
    ]);
    let range = |segment, first, last| BusRange { segment, first, last, sweep: Sweep::Never };
    let ranges = [range(0, 0, 127), range(7, 16, 31), range(0, 128, 255), range(0, 0, 127)];
    let (functions, complaints) = find_in(&space, &ranges);
    assert_eq!(complaints, []);
    let found = addresses(&functions);
    assert_eq!(found, ["0000:00:01.0", "0000:80:03.0", "0000:82:00.0", "0007:10:00.0", "0007:11:00.0"]);
}

#[test]
fn buses_that_begin_at_the_processor_are_found_by_trying() {
    let machine = || {
        [
            ((0, 0, 0), FakeFunction::host_bridge()),
            ((128, 4, 0), FakeFunction::bridge(129, 129)),
            ((129, 0, 0), FakeFunction::new(1, 2, NETWORK)),
        ]
    };
    let with = |sweep| find_in(&FakeSpace::new(machine()), &[BusRange { sweep, ..ALL }]).0.len();
    assert_eq!((with(Sweep::Never), with(Sweep::IfSeveralHosts), with(Sweep::Always)), (1, 1, 3));
    let second = ((0, 5, 0), FakeFunction::host_bridge());
    let space = FakeSpace::new(machine().into_iter().chain([second]));
    assert_eq!(find(&space).0.len(), 4, "a second bridge from the processor is reason enough to try");
}

#[test]
fn trying_leaves_out_what_bridges_lead_to() {
    let space = FakeSpace::new([((0, 1, 0), FakeFunction::bridge(1, 200)), ((100, 0, 0), FakeFunction::host_bridge())]);
    let (functions, _) = find_in(&space, &[BusRange { sweep: Sweep::Always, ..ALL }]);
    assert_eq!(functions.len(), 1);
}

#[test]
fn a_bus_that_answers_everywhere_ends_at_the_limit() {
    for function in [FakeFunction::bridge(1, 255), FakeFunction::host_bridge().with(0x0c, 0x80 << 16)] {
        let space = FakeSpace::everywhere(function);
        let (functions, complaints) = find_in(&space, &[BusRange { sweep: Sweep::Always, ..ALL }]);
        assert!(functions.len() <= MAX_FUNCTIONS);
        assert!(complaints.len() <= 2 * MAX_FUNCTIONS);
    }
}

#[test]
fn configuration_space_of_all_ones_has_nothing() {
    let mut ones = FakeFunction::new(0xffff, 0xffff, 0);
    ones.registers.fill(u32::MAX);
    assert_eq!(find(&FakeSpace::everywhere(ones)).0, []);
}

#[test]
fn a_function_of_all_ones_but_its_maker_is_survived() {
    let mut ones = FakeFunction::new(0, 0, 0);
    ones.registers.fill(u32::MAX);
    ones.registers[0] = 0x1234_5678;
    let (functions, _) = find(&FakeSpace::new([((0, 0, 0), ones)]));
    assert_eq!(functions[0].header, Header::Unknown(0x7f));
    assert_eq!((functions[0].bars.len(), functions[0].capabilities.len()), (0, 0));
}

#[test]
fn base_address_registers_are_sized_and_restored() {
    let function = only(
        FakeFunction::new(0x1af4, 0x1041, NETWORK)
            .with_writable(0x10, 0xfebc_0000, 0xfffe_0000)
            .with_writable(0x14, 0x0000_c041, 0xffff_ffe0)
            .with_writable(0x18, 0xc000_000c, 0xe000_0000)
            .with_writable(0x1c, 0x0000_0080, 0xffff_ffff)
            .with_writable(0x20, 0x0000_6101, 0x0000_ff00)
            .with_writable(0x24, 0x0000_0000, 0xffff_f000),
    );
    let memory = |is_wide, is_prefetchable| BarKind::Memory { is_wide, is_prefetchable };
    let wanted = [
        Bar { index: 0, kind: memory(false, false), address: 0xfebc_0000, size: 0x2_0000 },
        Bar { index: 1, kind: BarKind::Ports, address: 0xc040, size: 0x20 },
        Bar { index: 2, kind: memory(true, true), address: 0x80_c000_0000, size: 0x2000_0000 },
        Bar { index: 4, kind: BarKind::Ports, address: 0x6100, size: 0x100 },
        Bar { index: 5, kind: memory(false, false), address: 0, size: 0x1000 },
    ];
    assert_eq!(function.bars.as_slice(), wanted);
    assert_eq!(function.bars[2].end(), Some(0x80_e000_0000));
    assert_eq!(function.bars[4].end(), None, "firmware has given it no place");
}

#[test]
fn memory_beyond_4_gib_is_sized() {
    let function = only(FakeFunction::new(1, 2, NETWORK).with_writable(0x10, 0x0000_0004, 0).with_writable(
        0x14,
        0x0000_0040,
        0xffff_fffc,
    ));
    assert_eq!((function.bars[0].address, function.bars[0].size), (0x40_0000_0000, 4 << 32));
}

#[test]
fn registers_that_cannot_be_are_refused() {
    let fake = FakeFunction::new(1, 2, NETWORK)
        .with_writable(0x10, 0xfebc_0000, 0xfff0_f000)
        .with(0x14, 0xfebc_0000)
        .with_writable(0x18, 0xfebc_0006, 0xfff0_0000)
        .with(0x1c, 0x0000_01f1)
        .with_writable(0x24, 0xfebc_0004, 0xfff0_0000);
    let (functions, complaints) = find(&FakeSpace::new([((0, 0, 0), fake)]));
    assert_eq!(functions[0].bars.as_slice(), []);
    assert_eq!(complaints, [0, 1, 2, 3, 5].map(|index| Complaint::Bar(at(0, 0, 0), index)));
}

#[test]
fn host_bridges_and_roms_are_left_alone() {
    let fake = FakeFunction::host_bridge().with_writable(0x10, 0xe000_0000, 0xf000_0000);
    assert_eq!(only(fake).bars.as_slice(), []);
    let space = FakeSpace::new([((0, 0, 0), FakeFunction::new(1, 2, 0x03_0000))]);
    let (functions, _) = find(&space);
    assert_eq!(*space.was_unused.borrow(), [functions[0].class], "the screen is not used meanwhile");
}

#[test]
fn errors_in_the_status_register_are_not_cleared() {
    let mut fake = FakeFunction::new(1, 2, NETWORK).with_writable(0x10, 0xfebc_0000, 0xffff_f000);
    fake.registers[1] |= 0xf900_0000;
    let space = FakeSpace::new([((0, 0, 0), fake)]);
    find(&space);
    change_command(&space, at(0, 0, 0), CommandRegister::IO_ENABLE, CommandRegister::BUS_MASTER_ENABLE);
    assert_eq!(space.read(at(0, 0, 0), COMMAND), 0xf900_0006);
}

#[test]
fn capabilities_are_listed_in_their_order() {
    let function =
        only(FakeFunction::new(1, 2, NETWORK).with_writable(0x14, 0xfebc_1000, 0xffff_f000).with_capabilities(&[
            (0x98, &[0x8003_0011, 0x0000_0001, 0x0000_0801]),
            (0x40, &[0x0000_0009]),
            (0x50, &[0x0180_0005, 0, 0, 0, 0, 0]),
            (0x70, &[0x0002_0010]),
        ]));
    let names: Vec<_> = function.capabilities.iter().map(|capability| capability.name().unwrap()).collect();
    assert_eq!(names, ["MSI-X", "vendor-specific", "MSI", "PCI Express"]);
    assert_eq!(function.msix, Some(MsiX { offset: 0x98, entries: 4, bar: 1, table: 0 }));
    assert_eq!(function.msi, Some(Msi { offset: 0x50, is_wide: true, is_maskable: true }));
    assert!(function.is_express());
}

#[test]
fn a_list_that_goes_astray_ends_there_and_is_told() {
    // Round in a circle, to itself, into the header.
    for (words, length, astray) in
        [([0x4809, 0x4009], 2, 0x40), ([0x4809, 0x4809], 2, 0x48), ([0x4809, 0x1009], 2, 0x10), ([0x3d09, 0], 1, 0x3c)]
    {
        let fake = FakeFunction::new(1, 2, NETWORK)
            .with_capabilities(&[(0x40, &[])])
            .with(0x40, words[0])
            .with(0x48, words[1]);
        let (functions, complaints) = find(&FakeSpace::new([((0, 0, 0), fake)]));
        assert_eq!(functions[0].capabilities.len(), length);
        assert_eq!(complaints, [Complaint::CapabilityList(at(0, 0, 0), astray)]);
    }
}

#[test]
fn a_list_of_as_many_capabilities_as_fit_is_read() {
    let list: Vec<(u8, &[u32])> = (0x40..=0xfc).step_by(4).map(|offset| (offset, &[0x0009][..])).collect();
    assert_eq!(only(FakeFunction::new(1, 2, NETWORK).with_capabilities(&list)).capabilities.len(), MAX_CAPABILITIES);
}

#[test]
fn messages_that_cannot_be_are_refused() {
    // Past the end of configuration space; a table that is in no memory, or not all inside.
    let msi = (0xf4, &[0x0080_0005, 0, 0][..]);
    let missing = (0x40, &[0x0000_0011, 0x0000_0002, 0][..]);
    let outside = (0x40, &[0x0000_0011, 0x0000_0ff8, 0][..]);
    for capability in [msi, missing, outside] {
        let fake = FakeFunction::new(1, 2, NETWORK)
            .with_writable(0x10, 0xfebc_0000, 0xffff_f000)
            .with_capabilities(&[capability]);
        let (functions, complaints) = find(&FakeSpace::new([((0, 0, 0), fake)]));
        assert_eq!((functions[0].msi, functions[0].msix), (None, None));
        assert_eq!(complaints, [Complaint::Capability(at(0, 0, 0), capability.0)]);
    }
}

#[test]
fn extended_capabilities_end_where_they_go_astray() {
    let address = at(0, 0, 0);
    let list = |words: &[(usize, u32)]| {
        let fake =
            words.iter().fold(FakeFunction::new(1, 2, NETWORK), |fake, (offset, word)| fake.with(*offset, *word));
        let found = extended_capabilities(&FakeSpace::new([((0, 0, 0), fake)]), address).unwrap();
        found.into_iter().map(|capability| (capability.id, capability.offset)).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), []);
    assert_eq!(list(&[(0x100, 0x1401_0001), (0x140, 0x0001_0003)]), [(1, 0x100), (3, 0x140)]);
    assert_eq!(list(&[(0x100, 0x1401_0001), (0x140, 0x1001_0003)]), [(1, 0x100), (3, 0x140)]);
    assert_eq!(list(&[(0x100, 0x0401_0001)]), [(1, 0x100)]);
    assert_eq!(list(&[(0x100, 0xffff_ffff)]), []);
    assert_eq!(extended_capabilities(&FakeSpace::default(), address).unwrap(), []);
}

#[test]
fn msi_is_set_up_in_each_of_its_forms() {
    let message = MsiMessage { address: 0xfee0_1000, data: 0x51 };
    for (control, data, mask) in [(0x0000, 0x48, 0), (0x0080, 0x4c, 0), (0x0100, 0x48, 0x4c), (0x0180, 0x4c, 0x50)] {
        let fake = FakeFunction::new(1, 2, NETWORK)
            .with_capabilities(&[(0x40, &[control << 16 | 0x0070_0005, u32::MAX, u32::MAX, u32::MAX, u32::MAX])]);
        let space = FakeSpace::new([((0, 0, 0), fake)]);
        let msi = find(&space).0[0].msi.unwrap();
        let address = at(0, 0, 0);
        assert!(msi.enable(&space, address, message));
        assert_eq!(space.read(address, 0x40), (control | 1) << 16 | 5, "one message");
        assert_eq!((space.read(address, 0x44), space.read(address, data)), (0xfee0_1000, 0x51));
        if msi.is_wide {
            assert_eq!(space.read(address, 0x48), 0);
        }
        if msi.is_maskable {
            assert_eq!(space.read(address, mask) & 1, 0);
        }
        assert!(msi.is_enabled(&space, address));
        msi.disable(&space, address);
        assert!(!msi.is_enabled(&space, address));
        let far = MsiMessage { address: 1 << 32, data: 0 };
        assert_eq!(msi.enable(&space, address, far), msi.is_wide);
    }
}

#[test]
fn the_table_of_msi_x_is_written_while_held_back() {
    let fake = FakeFunction::new(1, 2, NETWORK)
        .with_writable(0x10, 0xfebc_0000, 0xffff_f000)
        .with_capabilities(&[(0x40, &[0x0002_0011, 0x0000_0800, 0])]);
    let space = FakeSpace::new([((0, 0, 0), fake)]);
    let msix = find(&space).0[0].msix.unwrap();
    let address = at(0, 0, 0);
    msix.enable_masked(&space, address);
    assert_eq!(space.read(address, 0x40), 0xc002_0011);
    msix.unmask(&space, address);
    assert_eq!(space.read(address, 0x40), 0x8002_0011);
    assert!(msix.is_enabled(&space, address));
    msix.disable(&space, address);
    assert!(!msix.is_enabled(&space, address));
    let message = MsiMessage { address: 0x1_fee0_1000, data: 0x51 };
    let entry = msix.entry(2).unwrap();
    assert_eq!(entry.mask(), (0x82c, 1));
    assert_eq!(entry.unmask(message), [(0x820, 0xfee0_1000), (0x824, 1), (0x828, 0x51), (0x82c, 0)]);
    assert_eq!(msix.entry(3), None);
}

#[test]
fn pins_have_lines_that_can_be() {
    let pin = |value| only(FakeFunction::new(1, 2, NETWORK).with(0x3c, value)).pin;
    assert_eq!(pin(0x010b), Some(Pin { number: 1, line: Some(11) }));
    assert_eq!(pin(0x04ff), Some(Pin { number: 4, line: None }));
    assert_eq!(pin(0x0200), Some(Pin { number: 2, line: None }));
    assert_eq!((pin(0x000b), pin(0x050b)), (None, None));
}

#[test]
fn a_function_is_told_in_a_line() {
    let function = FakeFunction::new(0x8086, 0x10d3, NETWORK)
        .with_writable(0x10, 0xfebc_0000, 0xfffe_0000)
        .with_writable(0x14, 0x0000_c041, 0xffff_ffe0)
        .with_capabilities(&[(0x40, &[0x0004_0011, 0, 0]), (0x50, &[0x0080_0005])])
        .with(0x3c, 0x010b);
    let line = "0000:00:03.0 8086:10d3 Ethernet controller, memory 0xfebc0000 (128 KiB), ports 0xc040 (32 B), \
                MSI-X (5), MSI, INTA at 11";
    assert_eq!(only(function).to_string(), line);
    assert_eq!(only(FakeFunction::bridge(0, 0)).to_string(), "0000:00:03.0 1b36:0001 PCI bridge, buses 00-00");
}

#[test]
fn classes_are_named_for_people() {
    let name = |base, sub, interface| Class { base, sub, interface }.to_string();
    assert_eq!(name(0x0c, 0x03, 0x30), "USB controller (xHCI)");
    assert_eq!(name(0x02, 0x00, 0x00), "Ethernet controller");
    assert_eq!(name(0x01, 0x06, 0x01), "SATA controller (AHCI)");
    assert_eq!(name(0x04, 0x03, 0x00), "audio device");
    assert_eq!(name(0x12, 0x00, 0x01), "class 12.00.01");
}

/// A function with registers and writable bits that mean nothing, but bits that tempt: it is there, and has a list.
fn any_function() -> impl Strategy<Value = FakeFunction> {
    let words = || prop::collection::vec(prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)], 64);
    (words(), words(), 0..4_u32, any::<bool>(), 0..8_u32).prop_map(|(mut registers, writable, header, several, bus)| {
        registers[0] |= 1;
        registers[1] |= 1 << 20;
        registers[3] = u32::from(several) << 23 | header << 16;
        if header == 1 {
            registers[6] = bus << 8 | bus << 16;
        }
        let mut writable = writable;
        // Command and BARs can be written, capabilities too; what else can be is nobody's business here.
        writable[1] |= 0b11;
        writable[1] &= 0x0000_ffff;
        FakeFunction { registers, writable }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn configuration_space_may_hold_anything(
        functions in prop::collection::vec(((0..8_u8, 0..32_u8, 0..8_u8), any_function()), 0..16),
        sweep in prop_oneof![Just(Sweep::Never), Just(Sweep::Always)],
    ) {
        let count = functions.len() as u64;
        let space = FakeSpace::new(functions);
        let (found, complaints) = find_in(&space, &[BusRange { last: 5, sweep, ..ALL }]);
        prop_assert!(space.reads.get() < 6 * 64 + 400 * (count + 1) * 8);
        prop_assert!(complaints.len() as u64 <= 12 * count);
        for function in found {
            prop_assert!(function.address.bus() <= 5);
            prop_assert!(function.bars.iter().all(|bar| bar.size.is_power_of_two() && bar.index < 6));
            prop_assert!(function.capabilities.iter().all(|capability| capability.offset >= 0x40));
            if let Some(msix) = function.msix {
                let size = function.bar(msix.bar).unwrap().size;
                prop_assert!(u64::from(msix.table) + 16 * u64::from(msix.entries) <= size);
            }
            extended_capabilities(&space, function.address).unwrap();
        }
    }
}
