//! Accents and letters to accented letters, as dead keys make them.

/// For each accent, letters and what they become.
const TABLE: [(char, &str); 5] = [
    ('´', "aáeéiíoóuúyýAÁEÉIÍOÓUÚYÝcćnńsśzźlĺrŕCĆNŃSŚZŹLĹRŔ"),
    ('`', "aàeèiìoòuùAÀEÈIÌOÒUÙnǹNǸ"),
    ('^', "aâeêiîoôuûyŷcĉgĝhĥjĵsŝwŵAÂEÊIÎOÔUÛYŶCĈGĜHĤJĴSŜWŴ"),
    ('¨', "aäeëiïoöuüyÿAÄEËIÏOÖUÜYŸ"),
    ('~', "aãnñoõiĩuũAÃNÑOÕIĨUŨ"),
];

/// The letter with the accent; `None` if there is no such letter.
pub fn compose(accent: char, letter: char) -> Option<char> {
    let (_, letters) = TABLE.iter().find(|(known, _)| *known == accent)?;
    let mut characters = letters.chars();
    while let (Some(base), Some(composed)) = (characters.next(), characters.next()) {
        if base == letter {
            return Some(composed);
        }
    }
    None
}
