//! One character cell of a terminal, in twelve bytes.

/// A colour as programs ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Whatever the display shows text with, or on.
    #[default]
    Default,
    /// One of xterm's 256: 16 named ones, a cube of 216, 24 greys.
    Indexed(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// What is special about a cell's look, each a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u16);

impl Attributes {
    /// Bold, or bright.
    pub const BOLD: Self = Self(1);
    /// Less bright.
    pub const FAINT: Self = Self(1 << 1);
    /// Slanted.
    pub const ITALIC: Self = Self(1 << 2);
    /// Underlined, in whatever style.
    pub const UNDERLINE: Self = Self(1 << 3);
    /// Blinking; kept, but no display blinks.
    pub const BLINK: Self = Self(1 << 4);
    /// Foreground and background change places.
    pub const INVERSE: Self = Self(1 << 5);
    /// Not shown.
    pub const HIDDEN: Self = Self(1 << 6);
    /// Crossed out.
    pub const STRIKE: Self = Self(1 << 7);
    /// The left half of a character two cells wide.
    pub const WIDE: Self = Self(1 << 8);
    /// The right half of one.
    pub const CONTINUATION: Self = Self(1 << 9);
    /// The cursor stands here; never in a terminal's own cells, only in what a display is told to show.
    pub const CURSOR: Self = Self(1 << 10);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// Whether any of `others` is among these.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// These and `others`.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without `others`.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that are in one of the two, but not in both.
    pub const fn toggled(self, others: Self) -> Self {
        Self(self.0 ^ others.0)
    }
}

/// How characters are written: what SGR sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What is special about the look.
    pub attributes: Attributes,
    /// The colour of the character.
    pub foreground: Colour,
    /// The colour behind it.
    pub background: Colour,
}

/// A character and how it looks. The default is a blank in default colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The character in the low 21 bits, zero for a blank; the attributes above.
    content: u32,
    foreground: Colour,
    background: Colour,
}

const _: () = assert!(size_of::<Cell>() == 12);

const CHARACTER_BITS: u32 = 21;

impl Cell {
    /// A cell that shows `character` in `style`.
    pub fn new(character: char, style: Style) -> Self {
        let code = if character == ' ' { 0 } else { u32::from(character) };
        let content = code | u32::from(style.attributes.0) << CHARACTER_BITS;
        Self { content, foreground: style.foreground, background: style.background }
    }

    /// A blank with attributes.
    pub const fn with(attributes: Attributes) -> Self {
        let content = (attributes.0 as u32) << CHARACTER_BITS;
        Self { content, foreground: Colour::Default, background: Colour::Default }
    }

    /// What erasing leaves: a blank on `background`.
    pub fn blank(background: Colour) -> Self {
        Self { background, ..Self::default() }
    }

    /// The character.
    pub fn character(self) -> char {
        match self.content & ((1 << CHARACTER_BITS) - 1) {
            0 => ' ',
            code => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
        }
    }

    /// What is special about the look.
    pub fn attributes(self) -> Attributes {
        Attributes((self.content >> CHARACTER_BITS) as u16)
    }

    /// Character aside, how it looks.
    pub fn style(self) -> Style {
        Style { attributes: self.attributes(), foreground: self.foreground, background: self.background }
    }

    /// The same with other attributes.
    pub fn with_attributes(self, attributes: Attributes) -> Self {
        Self::new(self.character(), Style { attributes, ..self.style() })
    }

    /// Whether it is half of a wide character.
    pub fn is_half(self) -> bool {
        self.attributes().has(Attributes::WIDE.with(Attributes::CONTINUATION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_what_it_is_made_of() {
        let attributes = Attributes::BOLD.with(Attributes::CURSOR);
        let style = Style { attributes, foreground: Colour::Rgb(1, 2, 3), background: Colour::Indexed(9) };
        let cell = Cell::new('\u{10ffff}', style);
        assert_eq!((cell.character(), cell.style()), ('\u{10ffff}', style));
        assert_eq!(cell.with_attributes(Attributes::WIDE).attributes(), Attributes::WIDE);
        assert_eq!(Cell::new(' ', Style::default()), Cell::default());
    }
}
