//! Every way in: both images, every firmware and every kind of disk a person may start them from.

use crate::harness::{Bus, Machine, Setup, Usb};
use crate::{ERES_LOADER, GRUB, boot_to_ready, expect_ready};
use std::time::Duration;

/// Boots to the end, by the door it should be, with the initramfs, and stays there.
#[track_caller]
fn boots_by(loader: &str, setup: Setup) {
    let mut machine = boot_to_ready(setup);
    arrived_by(loader, &mut machine);
}

#[track_caller]
fn arrived_by(loader: &str, machine: &mut Machine) {
    for wanted in [loader, "module: initramfs, "] {
        assert!(machine.line(wanted).is_some(), "no line {wanted:?} in\n{}", machine.serial_log());
    }
    machine.expect_stays_up(Duration::from_millis(500));
}

#[test]
fn the_iso_boots_from_a_cd_under_bios() {
    boots_by(GRUB, Machine::iso());
}

#[test]
fn the_iso_boots_from_a_cd_under_bios_on_q35() {
    boots_by(GRUB, Machine::iso().machine("q35"));
}

#[test]
fn the_iso_boots_from_a_cd_under_uefi() {
    boots_by(GRUB, Machine::iso().uefi());
}

#[test]
fn the_iso_boots_from_a_hard_disk_under_bios() {
    boots_by(GRUB, Machine::iso().disk(Bus::Ide));
}

#[test]
fn the_iso_boots_from_a_usb_stick_under_bios() {
    boots_by(GRUB, Machine::iso().usb_stick(Usb::Xhci));
}

#[test]
fn the_iso_boots_from_a_usb_stick_under_uefi() {
    boots_by(GRUB, Machine::iso().uefi().usb_stick(Usb::Xhci));
}

#[test]
fn the_raw_image_boots_from_an_ide_disk() {
    boots_by(ERES_LOADER, Machine::raw().disk(Bus::Ide));
}

#[test]
fn the_raw_image_boots_from_a_sata_disk() {
    boots_by(ERES_LOADER, Machine::raw().disk(Bus::Ahci));
}

#[test]
fn the_raw_image_boots_from_a_virtio_disk() {
    boots_by(ERES_LOADER, Machine::raw().disk(Bus::Virtio));
}

#[test]
fn the_raw_image_boots_from_an_nvme_disk() {
    boots_by(ERES_LOADER, Machine::raw().disk(Bus::Nvme));
}

#[test]
fn the_raw_image_boots_from_a_floppy_disk() {
    boots_by(ERES_LOADER, Machine::raw().disk(Bus::Floppy));
}

#[test]
fn the_raw_image_boots_from_a_stick_on_usb_3() {
    boots_by(ERES_LOADER, Machine::raw().usb_stick(Usb::Xhci));
}

#[test]
fn the_raw_image_boots_from_a_stick_on_usb_2() {
    boots_by(ERES_LOADER, Machine::raw().usb_stick(Usb::Ehci));
}

#[test]
fn the_raw_image_boots_from_a_stick_on_usb_1() {
    boots_by(ERES_LOADER, Machine::raw().usb_stick(Usb::Uhci));
}

#[test]
fn the_raw_image_boots_in_bochs() {
    let mut machine = Machine::bochs().memory_mib(128).boot();
    expect_ready(&mut machine);
    arrived_by(ERES_LOADER, &mut machine);
}

#[test]
fn several_cpus_do_not_disturb_the_boot() {
    boots_by(GRUB, Machine::iso().cpus(4));
    boots_by(ERES_LOADER, Machine::raw().cpus(4));
}
