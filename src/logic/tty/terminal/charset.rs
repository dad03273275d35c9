//! Characters that stand for others: DEC's line drawing, and letters that take an accent.

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

/// For each combining mark, letters followed by what they become with it: what Unicode has precomposed up to U+024F.
const COMPOSITIONS: [(char, &str); 13] = [
    ('\u{300}', "AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹ"),
    ('\u{301}', "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿ"),
    ('\u{302}', "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷ"),
    ('\u{303}', "AÃNÑOÕaãnñoõIĨiĩUŨuũ"),
    ('\u{304}', "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳ"),
    ('\u{306}', "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭ"),
    ('\u{307}', "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯ"),
    ('\u{308}', "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸ"),
    ('\u{30a}', "AÅaåUŮuů"),
    ('\u{30b}', "OŐoőUŰuű"),
    ('\u{30c}', "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ"),
    ('\u{327}', "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩ"),
    ('\u{328}', "AĄaąEĘeęIĮiįUŲuųOǪoǫ"),
];

/// The one character that `letter` with the combining `mark` is, if Unicode has it and it is common.
pub fn compose(letter: char, mark: char) -> Option<char> {
    let (_, pairs) = COMPOSITIONS.iter().find(|(known, _)| *known == mark)?;
    let mut characters = pairs.chars();
    while let (Some(plain), Some(composed)) = (characters.next(), characters.next()) {
        if plain == letter {
            return Some(composed);
        }
    }
    None
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

    #[test]
    fn common_letters_take_their_accents() {
        assert_eq!(compose('e', '\u{301}'), Some('é'));
        assert_eq!(compose('u', '\u{308}').and_then(|letter| compose(letter, '\u{30c}')), Some('ǚ'));
        assert_eq!(compose('q', '\u{301}'), None);
        assert_eq!(compose('e', '\u{20dd}'), None);
        assert!(COMPOSITIONS.iter().all(|(_, pairs)| pairs.chars().count() % 2 == 0));
    }
}
