//! Which colours a cell is drawn in: xterm's 256, the first 16 as the VGA and Linux's console have them.

use super::terminal::{Attributes, Cell, Colour};

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// Text in default colours, on a display that has any.
pub const FOREGROUND: Rgb = [0xd0, 0xd0, 0xd0];
/// What it stands on.
pub const BACKGROUND: Rgb = [0, 0, 0];
/// Bold text in default colours.
const BRIGHT_FOREGROUND: Rgb = [0xff, 0xff, 0xff];

/// The 16 colours that have names, in the order of SGR 30 to 37 and 90 to 97.
const NAMED: [Rgb; 16] = [
    [0x00, 0x00, 0x00],
    [0xaa, 0x00, 0x00],
    [0x00, 0xaa, 0x00],
    [0xaa, 0x55, 0x00],
    [0x00, 0x00, 0xaa],
    [0xaa, 0x00, 0xaa],
    [0x00, 0xaa, 0xaa],
    [0xaa, 0xaa, 0xaa],
    [0x55, 0x55, 0x55],
    [0xff, 0x55, 0x55],
    [0x55, 0xff, 0x55],
    [0xff, 0xff, 0x55],
    [0x55, 0x55, 0xff],
    [0xff, 0x55, 0xff],
    [0x55, 0xff, 0xff],
    [0xff, 0xff, 0xff],
];

/// The foreground and the background of a cell, with everything that bears on them taken into account but the cursor.
pub fn colours(cell: Cell) -> (Rgb, Rgb) {
    let style = cell.style();
    let attributes = style.attributes;
    let mut foreground = match style.foreground {
        Colour::Default if attributes.has(Attributes::BOLD) => BRIGHT_FOREGROUND,
        Colour::Default => FOREGROUND,
        Colour::Indexed(index @ 0..=7) if attributes.has(Attributes::BOLD) => rgb(index + 8),
        Colour::Indexed(index) => rgb(index),
        Colour::Rgb(red, green, blue) => [red, green, blue],
    };
    let mut background = match style.background {
        Colour::Default => BACKGROUND,
        Colour::Indexed(index) => rgb(index),
        Colour::Rgb(red, green, blue) => [red, green, blue],
    };
    if attributes.has(Attributes::INVERSE) {
        (foreground, background) = (background, foreground);
    }
    if attributes.has(Attributes::FAINT) {
        foreground = halfway(foreground, background);
    }
    if attributes.has(Attributes::HIDDEN) {
        foreground = background;
    }
    (foreground, background)
}

/// One of the 256.
pub fn rgb(index: u8) -> Rgb {
    const LEVELS: [u8; 6] = [0, 0x5f, 0x87, 0xaf, 0xd7, 0xff];
    let level = |step: u8| LEVELS.get(usize::from(step % 6)).copied().unwrap_or_default();
    match index {
        0..=15 => NAMED.get(usize::from(index)).copied().unwrap_or_default(),
        16..=231 => [level((index - 16) / 36), level((index - 16) / 6), level(index - 16)],
        232..=255 => [8 + 10 * (index - 232); 3],
    }
}

/// The one of the 16 that looks most alike.
pub fn nearest_named(colour: Rgb) -> u8 {
    let distance = |named: &Rgb| -> u32 {
        // The eye's weights of red, green and blue, roughly.
        let weighted = |(one, other, weight): (u8, u8, u32)| u32::from(one.abs_diff(other)).pow(2) * weight;
        let [red, green, blue] = [0, 1, 2].map(|part| (named[part], colour[part]));
        weighted((red.0, red.1, 3)) + weighted((green.0, green.1, 6)) + weighted((blue.0, blue.1, 1))
    };
    let nearest = (0_u8..).zip(NAMED.iter()).min_by_key(|(_, named)| distance(named));
    nearest.map_or(7, |(index, _)| index)
}

fn halfway(one: Rgb, other: Rgb) -> Rgb {
    let [red, green, blue] = [0, 1, 2].map(|part| one[part].midpoint(other[part]));
    [red, green, blue]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tty::terminal::Style;

    #[test]
    fn the_cube_and_the_greys_are_xterms() {
        assert_eq!(rgb(16), [0, 0, 0]);
        assert_eq!(rgb(231), [255, 255, 255]);
        assert_eq!(rgb(208), [0xff, 0x87, 0x00]);
        assert_eq!(rgb(67), [0x5f, 0x87, 0xaf]);
        assert_eq!((rgb(232), rgb(255)), ([8; 3], [238; 3]));
    }

    #[test]
    fn named_colours_are_nearest_to_themselves_and_others_to_what_they_look_like() {
        for index in 0..16 {
            assert_eq!(nearest_named(rgb(index)), index);
        }
        assert_eq!(nearest_named(FOREGROUND), 7);
        assert_eq!(nearest_named(rgb(232)), 0);
        assert_eq!(nearest_named(rgb(196)), 1);
        assert_eq!(nearest_named([0xff, 0xff, 0xf0]), 15);
    }

    #[test]
    fn attributes_change_colours() {
        let cell = |attributes, foreground| {
            colours(Cell::new('x', Style { attributes, foreground, background: Colour::Indexed(4) }))
        };
        assert_eq!(cell(Attributes::BOLD, Colour::Indexed(1)), (rgb(9), rgb(4)));
        assert_eq!(cell(Attributes::BOLD, Colour::Rgb(1, 2, 3)).0, [1, 2, 3]);
        assert_eq!(cell(Attributes::BOLD, Colour::Default).0, [255; 3]);
        assert_eq!(cell(Attributes::INVERSE, Colour::Indexed(1)), (rgb(4), rgb(1)));
        assert_eq!(cell(Attributes::HIDDEN, Colour::Indexed(1)), (rgb(4), rgb(4)));
        assert_eq!(cell(Attributes::FAINT, Colour::Rgb(100, 100, 100)).0, [50, 50, 135]);
    }
}
