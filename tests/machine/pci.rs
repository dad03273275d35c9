//! PCI: every function is found, wherever it sits, and machines without the bus do without.

use crate::harness::{ComposedImage, Machine, Setup};
use crate::{ask, boot_to_ready};

/// The functions that the kernel tells of at debug level, one line each.
#[track_caller]
fn functions(differences: impl FnOnce(Setup) -> Setup) -> Vec<String> {
    let image = ComposedImage::new(&["--command-line", "log=debug"]);
    let machine = boot_to_ready(differences(Machine::image(&image.path())));
    assert_eq!(machine.line("warning: PCI"), None, "{}", machine.serial_log());
    let lines = machine.lines().into_iter().map(|line| line.text);
    let functions: Vec<_> = lines
        .filter_map(|line| Some(line.strip_prefix("debug:   ")?.to_owned()).filter(|line| is_function(line)))
        .collect();
    let count = machine.line("PCI: ").and_then(|line| line.split(' ').nth(2)?.parse().ok());
    assert_eq!(functions.len(), count.unwrap_or(0), "{}", machine.serial_log());
    functions
}

/// Whether the line begins with an address, such as `0000:00:1f.2`.
fn is_function(line: &str) -> bool {
    let shape = |byte: u8| if byte.is_ascii_hexdigit() { b'0' } else { byte };
    line.bytes().take(12).map(shape).eq(*b"0000:00:00.0")
}

#[track_caller]
fn expect(functions: &[String], wanted: &[&str]) {
    for wanted in wanted {
        let found = functions.iter().any(|function| function.starts_with(wanted));
        assert!(found, "no {wanted} among {functions:#?}");
    }
}

fn device(setup: Setup, device: &str) -> Setup {
    setup.argument("-device").argument(device)
}

#[test]
fn the_functions_of_a_plain_machine_are_found() {
    let found = functions(|machine| machine.machine("pc"));
    expect(
        &found,
        &[
            "0000:00:00.0 8086:1237 host bridge",
            "0000:00:01.0 8086:7000 ISA bridge",
            "0000:00:01.1 8086:7010 IDE controller, ports 0xc000 (16 B)",
            "0000:00:02.0 1234:1111 VGA adapter, memory 0xfd000000 (16 MiB), memory 0xfebf0000 (4 KiB)",
        ],
    );
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn functions_behind_root_ports_and_bridges_are_found() {
    let found = functions(|machine| {
        let machine = device(machine.machine("q35"), "pcie-root-port,id=root,chassis=1");
        let machine = device(machine, "qemu-xhci,bus=root");
        let machine = device(machine, "pcie-root-port,id=empty,chassis=2");
        let machine = device(machine, "pci-bridge,id=bridge,chassis_nr=3");
        let machine = device(machine, "pci-bridge,id=inner,chassis_nr=4,bus=bridge,addr=2");
        device(machine, "edu,bus=inner,addr=1f")
    });
    expect(
        &found,
        &[
            "0000:00:00.0 8086:29c0 host bridge",
            "0000:00:1f.2 8086:2922 SATA controller (AHCI)",
            "0000:01:00.0 1b36:000d USB controller (xHCI), memory 0x",
            "0000:03:02.0 1b36:0001 PCI bridge, buses 04-04",
            "0000:04:1f.0 1234:11e8 class 00.ff.00, memory 0x",
        ],
    );
}

#[test]
fn buses_with_host_bridges_of_their_own_are_found() {
    let found = functions(|machine| {
        let machine = device(machine.machine("pc"), "pxb,id=host,bus_nr=128");
        device(machine, "edu,bus=host,addr=7")
    });
    expect(&found, &["0000:80:00.0 1b36:0001 PCI bridge, buses 81-81", "0000:81:07.0 1234:11e8"]);
    let found = functions(|machine| {
        let machine = device(machine.machine("q35"), "pxb-pcie,id=host,bus_nr=64");
        let machine = device(machine, "pcie-root-port,id=root,bus=host,chassis=1");
        device(machine, "nvme,serial=eres,bus=root")
    });
    expect(&found, &["0000:40:00.0 1b36:000c PCI bridge, buses 41-41", "0000:41:00.0 1b36:0010 NVMe controller"]);
}

#[test]
fn devices_with_several_functions_are_found_whole() {
    let found = functions(|machine| {
        let machine = device(machine, "ich9-usb-uhci1,addr=1d.0,multifunction=on");
        let machine = device(machine, "ich9-usb-uhci2,addr=1d.1,multifunction=on");
        device(machine, "ich9-usb-ehci1,addr=1d.7,multifunction=on")
    });
    expect(
        &found,
        &[
            "0000:00:1d.0 8086:2934 USB controller (UHCI)",
            "0000:00:1d.1 8086:2935 USB controller (UHCI)",
            "0000:00:1d.7 8086:293a USB controller (EHCI)",
        ],
    );
}

#[test]
fn a_machine_without_pci_does_without() {
    assert_eq!(functions(|machine| machine.machine("isapc").cpu("qemu64")), Vec::<String>::new());
}

#[test]
fn functions_are_found_under_uefi_and_without_acpi() {
    for setup in [Machine::iso().uefi().machine("q35"), Machine::iso().uefi(), Machine::raw().machine("q35,acpi=off")] {
        let mut machine = boot_to_ready(setup);
        let functions = ask(&mut machine, "pci");
        let addresses = functions.iter().filter(|line| is_function(line));
        assert_eq!(addresses.count(), 5, "{}", machine.serial_log());
        assert_eq!(machine.line("warning: PCI"), None, "{}", machine.serial_log());
    }
}
