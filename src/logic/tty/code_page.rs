//! Code page 437: what VGA text memory can show.

/// The characters of 80 to FF.
const HIGH: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Those of 01 to 1F, as the VGA draws them.
const LOW: &str = "☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";

/// Characters and what looks much like them.
const ALIKE: &str = concat!(
    "╭┌╮┐╰└╯┘━─┃│┏┌┓┐┗└┛┘┣├┫┤┳┬┻┴╋┼╌─╎│┄─┆│┈─┊│╴─╶─╵│╷│⎺─⎻─⎼─⎽_◆♦▮█▶►◀◄▴▲▾▼▸►◂◄",
    "●•▪■□■‘'’'“\"”\"–-—-―-…:‹<›>×x−-✓√✗xÀAÁAÂAÃAÈEÊEËEÌIÍIÎIÏIÒOÓOÔOÕOÙUÚUÛUÝYãaõoýyøoØO©c®r│|",
);

/// A box, for what has no glyph.
pub const REPLACEMENT: u8 = 0xfe;

/// The code that shows `character`, or something much like it.
pub fn code_page_437(character: char) -> Option<u8> {
    if matches!(character, ' '..='~') {
        return u8::try_from(character).ok();
    }
    let exact = |wanted: char| {
        let high = (0x80..=0xff).zip(HIGH.chars());
        let low = (0x01..=0x1f).zip(LOW.chars());
        high.chain(low).find(|(_, known)| *known == wanted).map(|(code, _)| code)
    };
    exact(character).or_else(|| {
        let mut characters = ALIKE.chars();
        while let (Some(known), Some(alike)) = (characters.next(), characters.next()) {
            if known == character {
                return if alike.is_ascii() { u8::try_from(alike).ok() } else { exact(alike) };
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_blocks_and_letters_have_their_codes() {
        let codes = |text: &str| text.chars().map(|character| code_page_437(character).unwrap()).collect::<Vec<_>>();
        assert_eq!(codes("┌─┐│└┘█▄░"), [0xda, 0xc4, 0xbf, 0xb3, 0xc0, 0xd9, 0xdb, 0xdc, 0xb0]);
        assert_eq!(codes("aé~ß→\u{a0}"), [b'a', 0x82, b'~', 0xe1, 0x1a, 0xff]);
        assert_eq!(codes("╭━×Õ"), [0xda, 0xc4, b'x', b'O']);
        assert_eq!(code_page_437('漢'), None);
    }

    #[test]
    fn every_look_alike_has_a_code() {
        assert_eq!((HIGH.chars().count(), LOW.chars().count(), ALIKE.chars().count() % 2), (128, 31, 0));
        assert!(ALIKE.chars().step_by(2).all(|character| code_page_437(character).is_some()));
    }
}
