//! Characters that stand for others: DEC's line drawing.

/// What is designated as G0 or G1 (ISO 2022).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// ASCII and all of Unicode.
    #[default]
    Ascii,
    /// DEC special graphics: lines instead of small letters.
    SpecialGraphics,
    /// British: a pound sign instead of the number sign.
    British,
}

/// DEC special graphics from 5F to 7E (VT220 programmer reference, table 2-4).
const SPECIAL_GRAPHICS: [char; 32] = [
    '\u{a0}', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽', '├',
    '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

impl Charset {
    /// What `character` shows.
    pub fn shown(self, character: char) -> char {
        match (self, character) {
            (Self::SpecialGraphics, '_'..='~') => {
                SPECIAL_GRAPHICS.get(character as usize - '_' as usize).copied().unwrap_or(character)
            }
            (Self::British, '#') => '£',
            _ => character,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_graphics_draw_a_box() {
        let shown: String = "lqkxmjtuvwn~`a".chars().map(|letter| Charset::SpecialGraphics.shown(letter)).collect();
        assert_eq!(shown, "┌─┐│└┘├┤┴┬┼·◆▒");
        assert_eq!("Az#é".chars().map(|letter| Charset::Ascii.shown(letter)).collect::<String>(), "Az#é");
        assert_eq!(Charset::SpecialGraphics.shown('A'), 'A');
        assert_eq!(Charset::British.shown('#'), '£');
    }
}
