//! SGR: how the next characters look (ECMA-48 8.3.117; colours as xterm and ISO 8613-6 have them).

use super::cell::{Attributes, Colour, Style};
use vte::Params;

/// Changes `style` as an SGR sequence says. Unknown numbers change nothing.
pub fn select(style: &mut Style, parameters: &Params) {
    if parameters.is_empty() {
        *style = Style::default();
    }
    let mut parameters = parameters.iter();
    while let Some(parameter) = parameters.next() {
        let Some((&number, rest)) = parameter.split_first() else { continue };
        match number {
            38 | 48 | 58 => {
                let colour = if rest.is_empty() { colour(&mut parameters) } else { colour_with_colons(rest) };
                match (number, colour) {
                    (38, Some(colour)) => style.foreground = colour,
                    (48, Some(colour)) => style.background = colour,
                    // The underline's own colour is not shown.
                    _ => {}
                }
            }
            4 if rest.first() == Some(&0) => style.attributes = style.attributes.without(Attributes::UNDERLINE),
            _ => select_one(style, number),
        }
    }
}

fn select_one(style: &mut Style, number: u16) {
    let attributes = &mut style.attributes;
    match number {
        0 => *style = Style::default(),
        1 => *attributes = attributes.with(Attributes::BOLD),
        2 => *attributes = attributes.with(Attributes::FAINT),
        3 => *attributes = attributes.with(Attributes::ITALIC),
        4 | 21 => *attributes = attributes.with(Attributes::UNDERLINE),
        5 | 6 => *attributes = attributes.with(Attributes::BLINK),
        7 => *attributes = attributes.with(Attributes::INVERSE),
        8 => *attributes = attributes.with(Attributes::HIDDEN),
        9 => *attributes = attributes.with(Attributes::STRIKE),
        22 => *attributes = attributes.without(Attributes::BOLD.with(Attributes::FAINT)),
        23 => *attributes = attributes.without(Attributes::ITALIC),
        24 => *attributes = attributes.without(Attributes::UNDERLINE),
        25 => *attributes = attributes.without(Attributes::BLINK),
        27 => *attributes = attributes.without(Attributes::INVERSE),
        28 => *attributes = attributes.without(Attributes::HIDDEN),
        29 => *attributes = attributes.without(Attributes::STRIKE),
        39 => style.foreground = Colour::Default,
        49 => style.background = Colour::Default,
        30..=37 => style.foreground = indexed(number - 30),
        40..=47 => style.background = indexed(number - 40),
        90..=97 => style.foreground = indexed(number - 90 + 8),
        100..=107 => style.background = indexed(number - 100 + 8),
        _ => {}
    }
}

fn indexed(number: u16) -> Colour {
    Colour::Indexed(level(number))
}

/// What is too large counts as the largest.
fn level(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// `5;n` or `2;r;g;b` behind 38 or 48.
fn colour<'a>(parameters: &mut impl Iterator<Item = &'a [u16]>) -> Option<Colour> {
    let mut next = || parameters.next().and_then(|parameter| parameter.first()).copied();
    match next()? {
        5 => Some(indexed(next()?)),
        2 => Some(Colour::Rgb(level(next()?), level(next()?), level(next()?))),
        _ => None,
    }
}

/// `5:n`, `2:r:g:b` or, with a colour space that is not looked at, `2:s:r:g:b`.
fn colour_with_colons(parameters: &[u16]) -> Option<Colour> {
    match *parameters {
        [5, number, ..] => Some(indexed(number)),
        [2, red, green, blue] | [2, _, red, green, blue, ..] => {
            Some(Colour::Rgb(level(red), level(green), level(blue)))
        }
        _ => None,
    }
}
