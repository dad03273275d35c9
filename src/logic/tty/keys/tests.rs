//! What each key sends, by layout; and that no bytes from a keyboard upset this.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;

/// Scan codes of set 1.
const SHIFT: u8 = 0x2a;
const CONTROL: u8 = 0x1d;
const ALT: u8 = 0x38;
const ALTGR: [u8; 2] = [0xe0, 0x38];

fn keyboard(keymap: &str) -> Keyboard {
    Keyboard::new(ScanCodeSet::One, Keymap::new(keymap).unwrap())
}

/// What `codes` send, in order.
fn type_on(keyboard: &mut Keyboard, codes: &[u8]) -> Vec<Typed> {
    type_in(keyboard, codes, KeyModes::default())
}

fn type_in(keyboard: &mut Keyboard, codes: &[u8], modes: KeyModes) -> Vec<Typed> {
    codes.iter().map(|code| keyboard.receive(*code, modes)).filter(|typed| *typed != Typed::Nothing).collect()
}

/// The same as text; actions are none.
fn text(keymap: &str, codes: &[u8]) -> String {
    let bytes = type_on(&mut keyboard(keymap), codes).into_iter().flat_map(|typed| match typed {
        Typed::Bytes(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    });
    String::from_utf8(bytes.collect()).unwrap()
}

fn with(modifiers: &[&[u8]], codes: &[u8]) -> Vec<u8> {
    [modifiers.concat(), codes.to_vec()].concat()
}

#[test]
fn letters_digits_and_signs_are_those_of_the_layout() {
    // The keys of a US keyboard: 2 q w y z m ; ' [ and the key left of 1.
    let keys = [0x03, 0x10, 0x11, 0x15, 0x2c, 0x32, 0x27, 0x28, 0x1a, 0x29];
    for (keymap, plain, shifted) in [
        ("us", "2qwyzm;'[`", "@QWYZM:\"{~"),
        ("uk", "2qwyzm;'[`", "\"QWYZM:@{¬"),
        ("de-nodeadkeys", "2qwzymöäü^", "\"QWZYMÖÄÜ°"),
        ("fr-nodeadkeys", "éazyw,mù^²", "2AZYW?M%¨²"),
        ("se", "2qwyzmöäå§", "\"QWYZMÖÄÅ½"),
        ("no", "2qwyzmøæå|", "\"QWYZMØÆÅ§"),
        ("dvorak", "2',f;ms-/`", "@\"<F:MS_?~"),
        ("colemak", "2qwjzmo'[`", "@QWJZMO\"{~"),
        ("jp", "2qwyzm;:@", "\"QWYZM+*`"),
    ] {
        assert_eq!(text(keymap, &keys), plain, "{keymap}");
        assert_eq!(text(keymap, &with(&[&[SHIFT]], &keys)), shifted, "{keymap}");
    }
}

#[test]
fn altgr_chooses_characters_on_keyboards_that_have_it() {
    let altgr = |keymap, codes: &[u8]| text(keymap, &with(&[&ALTGR], codes));
    assert_eq!(altgr("de", &[0x10, 0x12, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x1b, 0x56, 0x32]), "@€{[]}\\~|µ");
    assert_eq!(altgr("fr", &[0x0b, 0x12, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0c, 0x0d]), "@€#{[|`\\]}");
    assert_eq!(altgr("uk", &[0x05, 0x12]), "€é");
    assert_eq!(altgr("se", &[0x03, 0x05, 0x56]), "@$|");
    assert_eq!(altgr("us", &[0x10]), "\u{1b}q", "right Alt is Alt on a US keyboard");
}

#[test]
fn left_alt_with_control_is_not_altgr() {
    assert_eq!(text("de", &with(&[&[ALT, CONTROL]], &[0x08])), "\u{1b}\u{1f}");
}

#[test]
fn control_makes_control_characters() {
    let control = |keymap, codes: &[u8]| text(keymap, &with(&[&[CONTROL]], codes));
    assert_eq!(control("us", &[0x1e, 0x2c, 0x1a, 0x2b, 0x1b, 0x39, 0x35]), "\u{1}\u{1a}\u{1b}\u{1c}\u{1d}\0\u{1f}");
    assert_eq!(control("us", &[0x03, 0x04, 0x07, 0x08, 0x09, 0x0a]), "\0\u{1b}\u{1e}\u{1f}\u{7f}9");
    assert_eq!(control("de", &[0x2c, 0x15]), "\u{19}\u{1a}", "of the letter on the key");
    assert_eq!(text("de", &with(&[&[CONTROL], &ALTGR], &[0x09, 0x0c])), "\u{1b}\u{1c}");
    assert_eq!(text("us", &with(&[&[CONTROL, SHIFT]], &[0x2e])), "\u{3}");
    assert_eq!(text("us", &with(&[&[0x3a, CONTROL]], &[0x2e])), "\u{3}", "whatever CapsLock says");
}

#[test]
fn alt_sends_escape_first() {
    assert_eq!(text("us", &with(&[&[ALT]], &[0x21, 0x1c, 0x0e])), "\u{1b}f\u{1b}\r\u{1b}\u{7f}");
    assert_eq!(text("de", &with(&[&[ALT]], &[0x27])), "\u{1b}ö");
}

#[test]
fn keys_that_act_send_what_xterm_sends() {
    assert_eq!(text("us", &[0x01, 0x0e, 0x0f, 0x1c, 0xe0, 0x1c]), "\u{1b}\u{7f}\t\r\r");
    assert_eq!(text("us", &[SHIFT, 0x0f]), "\u{1b}[Z");
    assert_eq!(text("us", &[CONTROL, 0x0e]), "\u{8}");
    let extended = |code| text("us", &[0xe0, code]);
    let cursor: Vec<String> = [0x48, 0x50, 0x4d, 0x4b, 0x47, 0x4f].map(extended).into();
    assert_eq!(cursor, ["\u{1b}[A", "\u{1b}[B", "\u{1b}[C", "\u{1b}[D", "\u{1b}[H", "\u{1b}[F"]);
    let editing: Vec<String> = [0x52, 0x53, 0x49, 0x51].map(extended).into();
    assert_eq!(editing, ["\u{1b}[2~", "\u{1b}[3~", "\u{1b}[5~", "\u{1b}[6~"]);
    let functions: Vec<String> = (0x3b..=0x44).chain([0x57, 0x58]).map(|code| text("us", &[code])).collect();
    let numbers = [15, 17, 18, 19, 20, 21, 23, 24].map(|number| format!("\u{1b}[{number}~"));
    assert_eq!(functions[..4], ["\u{1b}OP", "\u{1b}OQ", "\u{1b}OR", "\u{1b}OS"]);
    assert_eq!(functions[4..], numbers);
}

#[test]
fn modifiers_are_told_with_keys_that_act() {
    let up = [0xe0, 0x48];
    assert_eq!(text("us", &with(&[&[SHIFT]], &up)), "\u{1b}[1;2A");
    assert_eq!(text("us", &with(&[&[ALT]], &up)), "\u{1b}[1;3A");
    assert_eq!(text("us", &with(&[&[CONTROL]], &up)), "\u{1b}[1;5A");
    assert_eq!(text("us", &with(&[&[CONTROL, SHIFT]], &up)), "\u{1b}[1;6A");
    assert_eq!(text("us", &with(&[&[CONTROL]], &[0xe0, 0x53])), "\u{1b}[3;5~");
    assert_eq!(text("us", &with(&[&[SHIFT]], &[0x3b])), "\u{1b}[1;2P");
    assert_eq!(text("us", &with(&[&[SHIFT, CONTROL, ALT]], &[0x58])), "\u{1b}[24;8~");
}

#[test]
fn cursor_keys_obey_the_application_mode() {
    let modes = KeyModes { application_cursor: true };
    let sent = |codes: &[u8]| type_in(&mut keyboard("us"), codes, modes);
    let bytes = |text: &str| vec![Typed::Bytes(text.bytes().collect())];
    assert_eq!(sent(&[0xe0, 0x48]), bytes("\u{1b}OA"));
    assert_eq!(sent(&[0xe0, 0x47]), bytes("\u{1b}OH"));
    assert_eq!(sent(&[0xe0, 0x53]), bytes("\u{1b}[3~"));
    assert_eq!(sent(&[CONTROL, 0xe0, 0x48]), bytes("\u{1b}[1;5A"));
}

#[test]
fn the_keypad_obeys_num_lock() {
    let keys = [0x48, 0x4f, 0x53];
    assert_eq!(text("us", &keys), "\u{1b}[A\u{1b}[F\u{1b}[3~");
    assert_eq!(text("us", &with(&[&[0x45, 0xc5]], &keys)), "81.");
    assert_eq!(text("us", &[0xe0, 0x35, 0x37, 0x4a, 0x4e]), "/*-+");
}

#[test]
fn caps_lock_is_toggled_by_presses_and_not_by_their_repeats() {
    let mut keyboard = keyboard("us");
    assert_eq!(keyboard.lights(), 0);
    type_on(&mut keyboard, &[0x3a, 0x3a, 0x3a, 0xba]);
    assert_eq!(keyboard.lights(), CAPS_LOCK_LIGHT);
    assert_eq!(type_on(&mut keyboard, &[0x1e, 0x02]), ["A", "1"].map(|text| Typed::Bytes(text.bytes().collect())));
    type_on(&mut keyboard, &[0x3a, 0xba, 0x45, 0xc5]);
    assert_eq!(keyboard.lights(), NUM_LOCK_LIGHT);
}

#[test]
fn a_keyboard_that_is_plugged_in_is_noticed() {
    let mut keyboard = keyboard("us");
    assert_eq!(
        type_on(&mut keyboard, &[SHIFT, 0xaa, 0xe0, 0xaa]),
        [],
        "Shift, and the Shift of some keyboards' arrows"
    );
    type_on(&mut keyboard, &[0x3a, 0xba, CONTROL]);
    assert_eq!(type_on(&mut keyboard, &[0xaa]), [Typed::PluggedIn]);
    assert_eq!(keyboard.lights(), CAPS_LOCK_LIGHT);
    assert_eq!(type_on(&mut keyboard, &[0x1e]), [Typed::Bytes(b"A".iter().copied().collect())], "Control is not down");
    let mut second = Keyboard::new(ScanCodeSet::Two, Keymap::us());
    assert_eq!(type_on(&mut second, &[0xaa]), [Typed::PluggedIn]);
}

#[test]
fn pause_is_not_num_lock() {
    let mut keyboard = keyboard("us");
    assert_eq!(type_on(&mut keyboard, &[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]), []);
    assert_eq!(keyboard.lights(), 0);
    assert_eq!(type_on(&mut keyboard, &[0x1e]), [Typed::Bytes(b"a".iter().copied().collect())]);
}

#[test]
fn dead_keys_compose() {
    // ^ then e; ´ then e; Shift+´ is `, then a.
    assert_eq!(text("de", &[0x29, 0x12]), "ê");
    assert_eq!(text("de", &[0x0d, 0x12, SHIFT, 0x0d, 0xaa, 0x1e]), "éà");
    // On a French keyboard, ^ and ¨ share a key.
    assert_eq!(text("fr", &[0x1a, 0x12, SHIFT, 0x1a, 0xaa, 0x17]), "êï");
    assert_eq!(text("no", &with(&[&ALTGR], &[0x1b, 0xe0, 0xb8, 0x31])), "ñ");
    assert_eq!(text("de", &[0x29, SHIFT, 0x12]), "Ê", "a modifier may come between");
    assert_eq!(text("de", &with(&[&ALTGR], &[0x1b])), "~", "which is not dead there, as shells need it");
}

#[test]
fn a_dead_key_can_stand_for_itself() {
    assert_eq!(text("de", &[0x29, 0x39]), "^", "with the space bar");
    assert_eq!(text("de", &[0x29, 0x29]), "^", "pressed twice");
    assert_eq!(text("de", &[0x29, 0x2d]), "^x", "before what takes no accent");
    assert_eq!(text("de", &[0x29, 0x0d, 0x12]), "^é", "before another");
    assert_eq!(text("de", &[0x29, 0x0e, 0x12]), "e", "backspace takes it back");
    assert_eq!(text("de", &[0x29, 0x1c]), "\r", "Enter does not wait");
    assert_eq!(text("de", &[CONTROL, 0x29]), "\u{1e}", "with Control, it is not dead");
    assert_eq!(text("de-nodeadkeys", &[0x29, 0x12]), "^e");
}

#[test]
fn some_keys_are_for_the_kernel() {
    let actions = |codes: &[u8]| type_on(&mut keyboard("us"), codes);
    let page_up = [SHIFT, 0xe0, 0x49];
    assert_eq!(actions(&page_up), [Typed::Action(Action::ViewEarlier)]);
    assert_eq!(actions(&[SHIFT, 0xe0, 0x51]), [Typed::Action(Action::ViewLater)]);
    assert_eq!(actions(&[CONTROL, ALT, 0xe0, 0x53]), [Typed::Action(Action::ControlAltDelete)]);
    assert_eq!(actions(&[CONTROL, ALT, 0x53]), [Typed::Action(Action::ControlAltDelete)]);
    assert_eq!(actions(&[CONTROL, 0xe0, 0x38, 0xe0, 0x53]), [Typed::Action(Action::ControlAltDelete)]);
}

#[test]
fn sysrq_takes_keys_until_alt_is_let_go_of() {
    let mut keyboard = keyboard("us");
    let typed = type_on(&mut keyboard, &[ALT, 0x54, 0x23, 0xa3, 0xd4, 0x14, 0x94, 0xb8, 0x14]);
    let expected = [
        Typed::Action(Action::SysRq('h')),
        Typed::Action(Action::SysRq('t')),
        Typed::Bytes(b"t"[..].try_into().unwrap()),
    ];
    assert_eq!(typed, expected);
    assert_eq!(type_on(&mut keyboard, &[0xe0, 0x37, 0x14]).len(), 1, "PrintScreen alone is nothing");
}

#[test]
fn keys_that_only_japanese_keyboards_have_are_theirs() {
    assert_eq!(text("jp", &[0x7d, 0xfd, 0x73, 0xf3]), "¥\\");
}

#[test]
fn scan_codes_of_set_2_mean_the_same() {
    let mut keyboard = Keyboard::new(ScanCodeSet::Two, Keymap::us());
    // Shift down, a down, a up, Shift up, a down; the up arrow.
    let typed = type_on(&mut keyboard, &[0x12, 0x1c, 0xf0, 0x1c, 0xf0, 0x12, 0x1c, 0xe0, 0x75]);
    let sent: Vec<u8> = typed
        .into_iter()
        .flat_map(|typed| if let Typed::Bytes(bytes) = typed { bytes.to_vec() } else { Vec::new() })
        .collect();
    assert_eq!(sent, b"Aa\x1b[A");
}

#[test]
fn keymaps_are_found_by_name_and_named() {
    assert_eq!(Keymap::new("gb").unwrap().name(), "uk");
    assert_eq!(Keymap::new("de-nodeadkeys").unwrap().name(), "de");
    assert!(Keymap::new("klingon").is_none() && Keymap::new("").is_none() && Keymap::new("-nodeadkeys").is_none());
    let names = Names.to_string();
    assert!(["us", "uk", "de", "fr"].iter().all(|name| names.split(", ").any(|known| known == *name)), "{names}");
    assert_eq!(names.split(", ").filter(|name| Keymap::new(name).is_none()).count(), 0);
}

proptest! {
    #[test]
    fn whatever_a_keyboard_sends_is_borne(bytes in proptest::collection::vec(any::<u8>(), 0..200), two in any::<bool>()) {
        for keymap in Names.to_string().split(", ") {
            let set = if two { ScanCodeSet::Two } else { ScanCodeSet::One };
            let mut keyboard = Keyboard::new(set, Keymap::new(keymap).unwrap());
            for typed in type_on(&mut keyboard, &bytes) {
                if let Typed::Bytes(bytes) = typed {
                    prop_assert!(std::str::from_utf8(&bytes).is_ok());
                }
            }
        }
    }
}
