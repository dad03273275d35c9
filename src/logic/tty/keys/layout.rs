//! Layouts by the names that `keymap=` takes.

use core::fmt;
use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, DVP104Key, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key, Uk105Key, Us104Key,
};
use pc_keyboard::{KeyCode, KeyboardLayout, PhysicalKeyboard};

/// What follows a name to be without dead keys, as in Linux' keymaps.
const NO_DEAD_KEYS: &str = "-nodeadkeys";

/// A layout of the crate, and which of its keys are dead, which the crate does not know.
struct Layout {
    names: &'static [&'static str],
    layout: AnyLayout,
    accents: &'static [(KeyCode, char)],
}

const SCANDINAVIAN_ACCENTS: &[(KeyCode, char)] = &[
    (KeyCode::OemPlus, '´'),
    (KeyCode::OemPlus, '`'),
    (KeyCode::Oem6, '¨'),
    (KeyCode::Oem6, '^'),
    (KeyCode::Oem6, '~'),
];

static LAYOUTS: [Layout; 10] = [
    Layout { names: &["us"], layout: AnyLayout::Us104Key(Us104Key), accents: &[] },
    Layout { names: &["uk", "gb"], layout: AnyLayout::Uk105Key(Uk105Key), accents: &[] },
    Layout {
        names: &["de"],
        layout: AnyLayout::De105Key(De105Key),
        accents: &[(KeyCode::Oem8, '^'), (KeyCode::OemPlus, '´'), (KeyCode::OemPlus, '`')],
    },
    Layout {
        names: &["fr"],
        layout: AnyLayout::Azerty(Azerty),
        accents: &[(KeyCode::Oem4, '^'), (KeyCode::Oem4, '¨')],
    },
    Layout { names: &["no"], layout: AnyLayout::No105Key(No105Key), accents: SCANDINAVIAN_ACCENTS },
    Layout { names: &["se", "fi"], layout: AnyLayout::FiSe105Key(FiSe105Key), accents: SCANDINAVIAN_ACCENTS },
    Layout { names: &["jp"], layout: AnyLayout::Jis109Key(Jis109Key), accents: &[] },
    Layout { names: &["dvorak"], layout: AnyLayout::Dvorak104Key(Dvorak104Key), accents: &[] },
    Layout { names: &["dvp"], layout: AnyLayout::DVP104Key(DVP104Key), accents: &[] },
    Layout { names: &["colemak"], layout: AnyLayout::Colemak(Colemak), accents: &[] },
];

/// What is written on the keys.
#[derive(Clone, Copy)]
pub struct Keymap {
    layout: &'static Layout,
    has_accents: bool,
}

impl Keymap {
    /// The layout of that name, with `-nodeadkeys` behind it or without.
    pub fn new(name: &str) -> Option<Self> {
        let base = name.strip_suffix(NO_DEAD_KEYS).unwrap_or(name);
        let layout = LAYOUTS.iter().find(|layout| layout.names.contains(&base))?;
        Some(Self { layout, has_accents: base == name })
    }

    /// The layout that a keyboard has unless told otherwise.
    pub fn us() -> Self {
        let [us, ..] = &LAYOUTS;
        Self { layout: us, has_accents: true }
    }

    /// The layout's name.
    pub fn name(&self) -> &'static str {
        self.layout.names.first().copied().unwrap_or_default()
    }

    pub(super) fn layout(&self) -> &'static AnyLayout {
        &self.layout.layout
    }

    /// Whether the key waits for a letter to put `character` on.
    pub(super) fn is_accent(&self, code: KeyCode, character: char) -> bool {
        self.has_accents && self.layout.accents.contains(&(code, character))
    }

    /// Keyboards of 102 and 105 keys have one, right of the space bar.
    pub(super) fn has_altgr(&self) -> bool {
        matches!(self.layout.layout.get_physical(), PhysicalKeyboard::Iso)
    }
}

/// All names, for people.
pub struct Names;

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = LAYOUTS.iter().flat_map(|layout| layout.names);
        if let Some(first) = names.next() {
            formatter.write_str(first)?;
        }
        names.try_for_each(|name| write!(formatter, ", {name}"))
    }
}
