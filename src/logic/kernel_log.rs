//! The kernel's log as syslog(2) tells it: records as `<6>text` and a newline, numbered as syslog(3) numbers importance.

use crate::errno::Errno;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use log::{Level, LevelFilter};

/// A record as syslog(2) tells it.
pub fn line(level: Level, text: &[u8]) -> Vec<u8> {
    let priority = match level {
        Level::Error => b'3',
        Level::Warn => b'4',
        Level::Info => b'6',
        Level::Debug | Level::Trace => b'7',
    };
    [&[b'<', priority, b'>'], text, b"\n"].concat()
}

/// The levels of what is more important than `priority`: those that a console shows after `SYSLOG_ACTION_CONSOLE_LEVEL`.
///
/// # Errors
/// [`Errno::EINVAL`] unless it is 1 to 8.
pub fn shown_below(priority: i32) -> Result<LevelFilter, Errno> {
    match priority {
        1..=3 => Ok(LevelFilter::Off),
        4 => Ok(LevelFilter::Error),
        5 | 6 => Ok(LevelFilter::Warn),
        7 => Ok(LevelFilter::Info),
        8 => Ok(LevelFilter::Debug),
        _ => Err(Errno::EINVAL),
    }
}

/// The newest whole lines of not more than `room` bytes together, in their order.
pub fn newest_that_fit(lines: impl Iterator<Item = Vec<u8>>, room: usize) -> Vec<u8> {
    let mut kept = VecDeque::new();
    let mut length = 0;
    for line in lines {
        length += line.len();
        kept.push_back(line);
        while length > room {
            length -= kept.pop_front().map_or(length, |line| line.len());
        }
    }
    kept.make_contiguous().concat()
}

/// The oldest whole lines of not more than `room` bytes together, and the position behind the last. Each line comes with that behind
/// it.
///
/// # Errors
/// [`Errno::EAGAIN`] if there are none; [`Errno::EINVAL`] if there is no room for the first.
pub fn oldest_that_fit(lines: impl Iterator<Item = (Vec<u8>, u64)>, room: usize) -> Result<(Vec<u8>, u64), Errno> {
    let mut end = None;
    let mut text = Vec::new();
    for (line, next) in lines {
        if text.len() + line.len() > room {
            return end.map(|end| (text, end)).ok_or(Errno::EINVAL);
        }
        text.extend(line);
        end = Some(next);
    }
    end.map(|end| (text, end)).ok_or(Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> impl Iterator<Item = (Vec<u8>, u64)> {
        [(Level::Error, "one"), (Level::Info, "two"), (Level::Trace, "")]
            .into_iter()
            .zip([10, 20, 30])
            .map(|((level, text), next)| (line(level, text.as_bytes()), next))
    }

    #[test]
    fn lines_say_how_important_they_are() {
        let text: Vec<u8> = lines().flat_map(|(line, _)| line).collect();
        assert_eq!(text, b"<3>one\n<6>two\n<7>\n");
        assert_eq!(line(Level::Warn, b"w"), b"<4>w\n");
    }

    #[test]
    fn a_console_shows_what_is_more_important() {
        let shown = |priority| shown_below(priority).map(|filter| Level::Info <= filter);
        assert_eq!((shown(6), shown(7), shown(8)), (Ok(false), Ok(true), Ok(true)));
        assert_eq!(shown_below(1), Ok(LevelFilter::Off));
        assert_eq!((shown_below(4), shown_below(5)), (Ok(LevelFilter::Error), Ok(LevelFilter::Warn)));
        assert_eq!(
            (shown_below(0), shown_below(9), shown_below(-1)),
            (Err(Errno::EINVAL), Err(Errno::EINVAL), Err(Errno::EINVAL))
        );
    }

    #[test]
    fn only_whole_lines_are_told() {
        let newest = |room| newest_that_fit(lines().map(|(line, _)| line), room);
        for (room, text) in
            [(0, ""), (3, ""), (4, "<7>\n"), (10, "<7>\n"), (11, "<6>two\n<7>\n"), (17, "<6>two\n<7>\n")]
        {
            assert_eq!(newest(room), text.as_bytes(), "{room}");
        }
        assert_eq!(newest(18), b"<3>one\n<6>two\n<7>\n");
        let oldest = |room| oldest_that_fit(lines(), room).map(|(text, end)| (text.len(), end));
        assert_eq!((oldest(6), oldest(7), oldest(13)), (Err(Errno::EINVAL), Ok((7, 10)), Ok((7, 10))));
        assert_eq!((oldest(14), oldest(17), oldest(18)), (Ok((14, 20)), Ok((14, 20)), Ok((18, 30))));
        assert_eq!(oldest_that_fit(core::iter::empty(), 100), Err(Errno::EAGAIN));
    }
}
