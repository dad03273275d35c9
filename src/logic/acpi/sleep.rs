//! `\_S5`, the sleep types that mean "off", found in AML without an interpreter.
//!
//! Firmware defines it by a name operator with a package of constants: `08 [5c] "_S5_" 12 length count element …` (ACPI 6.5
//! sections 7.4.2 and 20.2). A computed `\_S5` would need an interpreter; none is known.

/// Sleep types are three bits wide.
const MAX_SLEEP_TYPE: u64 = 7;

const NAME: &[u8] = b"_S5_";
const NAME_OPERATOR: u8 = 0x08;
const ROOT_CHARACTER: u8 = b'\\';
const PACKAGE_OPERATOR: u8 = 0x12;

/// The sleep types for PM1a and PM1b out of the AML of a table.
pub(super) fn s5(aml: &[u8]) -> Option<(u8, u8)> {
    (0..aml.len()).find_map(|at| {
        let (before, rest) = aml.split_at_checked(at)?;
        let package = rest.strip_prefix(NAME)?.strip_prefix(&[PACKAGE_OPERATOR])?;
        let before = before.strip_suffix(&[ROOT_CHARACTER]).unwrap_or(before);
        if before.last() == Some(&NAME_OPERATOR) { sleep_types(package_contents(package)?) } else { None }
    })
}

/// Two elements, or one that has both types in its two lowest bytes, as ACPI 1.0 tables were written.
fn sleep_types(contents: &[u8]) -> Option<(u8, u8)> {
    let (count, elements) = contents.split_first()?;
    let (first, rest) = constant(elements)?;
    let (a, b) = match count {
        0 => return None,
        1 => (first & 0xff, first >> 8),
        _ => (first, constant(rest)?.0),
    };
    let small = |value: u64| u8::try_from(value).ok().filter(|value| u64::from(*value) <= MAX_SLEEP_TYPE);
    Some((small(a)?, small(b)?))
}

/// What a package holds after its length (ACPI 6.5 section 20.2.4): the top two bits of the lead byte tell how many bytes
/// follow it, and the length counts from the lead byte on.
fn package_contents(bytes: &[u8]) -> Option<&[u8]> {
    let lead = *bytes.first()?;
    let following = usize::from(lead >> 6);
    let (mut length, mut shift) = match following {
        0 => (usize::from(lead & 0x3f), 0_u32),
        _ => (usize::from(lead & 0x0f), 4),
    };
    for byte in bytes.get(1..)?.get(..following)? {
        length |= usize::from(*byte).checked_shl(shift)?;
        shift = shift.checked_add(8)?;
    }
    bytes.get(..length)?.get(following.checked_add(1)?..)
}

/// A constant (ACPI 6.5 section 20.2.3) and what follows it.
fn constant(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (operator, rest) = bytes.split_first()?;
    let width = match operator {
        0x00 | 0x01 => return Some((u64::from(*operator), rest)),
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        0x0e => 8,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(width)?;
    Some((value.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)), rest))
}
