//! Letters that take an accent, from a combining mark behind them or from a dead key before them.

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

/// What `letter` becomes after a dead key with `accent` on it; `None` if there is no such letter.
pub fn after_dead_key(accent: char, letter: char) -> Option<char> {
    let mark = match accent {
        '`' => '\u{300}',
        '´' => '\u{301}',
        '^' => '\u{302}',
        '~' => '\u{303}',
        '¨' => '\u{308}',
        _ => return None,
    };
    compose(letter, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_letters_take_their_accents() {
        assert_eq!(compose('e', '\u{301}'), Some('é'));
        assert_eq!(compose('u', '\u{308}').and_then(|letter| compose(letter, '\u{30c}')), Some('ǚ'));
        assert_eq!(compose('q', '\u{301}'), None);
        assert_eq!(compose('e', '\u{20dd}'), None);
        assert!(COMPOSITIONS.iter().all(|(_, pairs)| pairs.chars().count() % 2 == 0));
    }

    #[test]
    fn dead_keys_are_marks_that_come_first() {
        let made = [('´', 'e'), ('`', 'A'), ('^', 'ŷ'), ('^', 'o'), ('~', 'n'), ('¨', 'u'), ('¨', 'x'), ('x', 'e')];
        let made = made.map(|(accent, letter)| after_dead_key(accent, letter));
        assert_eq!(made, [Some('é'), Some('À'), None, Some('ô'), Some('ñ'), Some('ü'), None, None]);
    }
}
