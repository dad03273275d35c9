//! What the screen shows: the same as the serial line, in every mode; and GRUB's menu for those who ask.

use crate::harness::{ComposedImage, Machine, Mode};
use crate::monitor::PROMPT;
use crate::{ask, boot_to_ready, expect_ready};

const FRAMEBUFFER: Mode = Mode::Graphics { width: 1024, height: 768 };

/// Text without its blanks: where the screen's edge breaks a line, they may be lost.
fn inked(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Every line from the kernel's first to its prompt stands on the screen, in the same order.
#[track_caller]
fn screen_repeats_the_serial_line(machine: &mut Machine, mode: Mode) {
    let screen = machine.expect_on_screen(PROMPT.trim_end());
    assert_eq!(screen.mode, mode, "{screen}");
    let log = machine.serial_log();
    let kernel_log = &log[log.find("Eres OS ").expect("a first line")..];
    let shown = inked(&screen.unwrapped());
    let mut rest = shown.as_str();
    for line in kernel_log.lines() {
        let ink = inked(line);
        let at = rest.find(&ink).unwrap_or_else(|| panic!("{line:?} is not (there) on the screen:\n{screen}"));
        rest = &rest[at + ink.len()..];
    }
}

#[test]
fn the_raw_image_draws_the_log_into_a_framebuffer() {
    let mut machine = boot_to_ready(Machine::raw());
    screen_repeats_the_serial_line(&mut machine, FRAMEBUFFER);
}

#[test]
fn the_raw_image_stays_in_text_mode_while_shift_is_held() {
    let mut machine = Machine::raw().holding("shift").boot();
    expect_ready(&mut machine);
    machine.release_key("shift");
    screen_repeats_the_serial_line(&mut machine, Mode::VgaText);
}

#[test]
fn an_image_composed_for_text_mode_and_with_a_command_line_has_both() {
    let image = ComposedImage::new(&["--text", "--command-line", "answer=42 quiet=no"]);
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    screen_repeats_the_serial_line(&mut machine, Mode::VgaText);
    let answer = ask(&mut machine, "boot");
    assert!(answer.contains(&"arguments init=none answer=42 quiet=no".to_owned()), "{answer:#?}");
    assert!(answer.contains(&"display   VGA text 80x25".to_owned()), "{answer:#?}");
}

#[test]
fn the_iso_draws_the_log_into_a_framebuffer_under_bios() {
    screen_repeats_the_serial_line(&mut boot_to_ready(Machine::iso()), FRAMEBUFFER);
}

#[test]
fn the_iso_draws_the_log_into_a_framebuffer_under_uefi() {
    screen_repeats_the_serial_line(&mut boot_to_ready(Machine::iso().uefi()), FRAMEBUFFER);
}

#[test]
fn grub_shows_its_menu_while_shift_is_held_and_boots_from_it() {
    let mut machine = Machine::iso().holding("shift").boot();
    let menu = machine.expect_on_screen("*Eres OS");
    assert!(menu.contains("GNU GRUB"), "{menu}");
    machine.release_key("shift");
    machine.send_key("ret");
    expect_ready(&mut machine);
}

#[test]
fn grub_shows_its_menu_when_escape_is_pressed() {
    let mut machine = Machine::iso().holding("esc").boot();
    machine.expect_on_screen("GNU GRUB");
}
