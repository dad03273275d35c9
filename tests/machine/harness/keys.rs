//! Names of keys: what a US keyboard needs pressed for a character, as QEMU's QKeyCode names (qapi/ui.json).

/// The keys of a chord such as `shift-pgup` or `ctrl-alt-delete`, in the order in which they go down.
pub fn chord(name: &str) -> Vec<&str> {
    name.split('-').collect()
}

/// The keys to press together for one character; `None` when a US keyboard has no such key.
pub fn for_character(character: char) -> Option<Vec<String>> {
    let (name, shifted) = match character {
        'a'..='z' | '0'..='9' => (character.to_string(), false),
        'A'..='Z' => (character.to_ascii_lowercase().to_string(), true),
        _ => {
            let (name, shifted) = punctuation(character)?;
            (name.to_string(), shifted)
        }
    };
    Some(if shifted { vec!["shift".to_string(), name] } else { vec![name] })
}

fn punctuation(character: char) -> Option<(&'static str, bool)> {
    Some(match character {
        '\n' => ("ret", false),
        '\t' => ("tab", false),
        '\x08' => ("backspace", false),
        '\x1b' => ("esc", false),
        ' ' => ("spc", false),
        '`' => ("grave_accent", false),
        '~' => ("grave_accent", true),
        '-' => ("minus", false),
        '_' => ("minus", true),
        '=' => ("equal", false),
        '+' => ("equal", true),
        '[' => ("bracket_left", false),
        '{' => ("bracket_left", true),
        ']' => ("bracket_right", false),
        '}' => ("bracket_right", true),
        '\\' => ("backslash", false),
        '|' => ("backslash", true),
        ';' => ("semicolon", false),
        ':' => ("semicolon", true),
        '\'' => ("apostrophe", false),
        '"' => ("apostrophe", true),
        ',' => ("comma", false),
        '<' => ("comma", true),
        '.' => ("dot", false),
        '>' => ("dot", true),
        '/' => ("slash", false),
        '?' => ("slash", true),
        '!' => ("1", true),
        '@' => ("2", true),
        '#' => ("3", true),
        '$' => ("4", true),
        '%' => ("5", true),
        '^' => ("6", true),
        '&' => ("7", true),
        '*' => ("8", true),
        '(' => ("9", true),
        ')' => ("0", true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_can_be_typed() {
        for character in (' '..='~').chain(['\n', '\t']) {
            assert!(for_character(character).is_some(), "{character:?}");
        }
        assert_eq!(for_character('é'), None);
    }
}
