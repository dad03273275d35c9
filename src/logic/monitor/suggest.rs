//! What somebody may have meant who has mistyped.

/// Characters of a word that are looked at.
const LONGEST: usize = 24;

/// The name nearest to `word`, if one is near: at most one slip for each three characters, or the name's beginning.
pub fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let most = length.div_ceil(3);
    let near = names.into_iter().map(|name| {
        let is_start = length > 1 && name.starts_with(word);
        (if is_start { 1 } else { distance(word, name) }, name)
    });
    near.filter(|(distance, name)| *distance <= most && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many slips make `a` of `b`: a character too many, too few, another one, or two neighbours swapped (Damerau; no piece is
/// changed twice). Case is none. Only the first [`LONGEST`] characters count, and what `b` has beyond them.
pub fn distance(a: &str, b: &str) -> usize {
    let lower = |character: char| character.to_ascii_lowercase();
    // Rows of the table for the prefixes of `a` before the last, the last, and this one; columns are prefixes of `b`.
    let mut before_last = [0; LONGEST + 1];
    let mut last: [usize; LONGEST + 1] = core::array::from_fn(|column| column);
    let mut previous_a = None;
    for (row, in_a) in (1_usize..).zip(a.chars().take(LONGEST).map(lower)) {
        let mut this = [row; LONGEST + 1];
        let mut previous_b = None;
        for (column, in_b) in (1_usize..).zip(b.chars().take(LONGEST).map(lower)) {
            let at = |line: &[usize; LONGEST + 1], back: usize| {
                line.get(column.saturating_sub(back)).copied().unwrap_or(usize::MAX)
            };
            let mut least = at(&last, 1).saturating_add(usize::from(in_a != in_b));
            least = least.min(at(&last, 0).saturating_add(1)).min(at(&this, 1).saturating_add(1));
            if previous_a == Some(in_b) && previous_b == Some(in_a) {
                least = least.min(at(&before_last, 2).saturating_add(1));
            }
            if let Some(place) = this.get_mut(column) {
                *place = least;
            }
            previous_b = Some(in_b);
        }
        previous_a = Some(in_a);
        before_last = core::mem::replace(&mut last, this);
    }
    let length = b.chars().count();
    let rest = length.saturating_sub(LONGEST);
    last.get(length.min(LONGEST)).copied().unwrap_or(usize::MAX).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 6] = ["memory", "help", "threads", "x", "reboot", "poweroff"];

    #[test]
    fn slips_are_counted() {
        assert_eq!(distance("memroy", "memory"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Help", "help"), 0);
    }

    #[test]
    fn what_was_meant_is_found_and_what_is_far_is_not() {
        assert_eq!(closest("memroy", NAMES), Some("memory"));
        assert_eq!(closest("hlep", NAMES), Some("help"));
        assert_eq!(closest("mem", NAMES), Some("memory"));
        assert_eq!(closest("thread", NAMES), Some("threads"));
        assert_eq!(closest("shutdown", NAMES), None);
        assert_eq!(closest("y", NAMES), None);
        assert_eq!(closest("", NAMES), None);
    }

    proptest! {
        #[test]
        fn the_distance_is_a_distance(a in "[a-d]{0,8}", b in "[a-d]{0,8}") {
            let there = distance(&a, &b);
            prop_assert_eq!(there, distance(&b, &a));
            prop_assert_eq!(there == 0, a == b);
            prop_assert!(there <= a.len().max(b.len()));
            prop_assert!(there >= a.len().abs_diff(b.len()));
        }

        #[test]
        fn any_word_may_be_guessed_at(word in "\\PC{0,40}") {
            let _ = closest(&word, NAMES);
        }
    }
}
