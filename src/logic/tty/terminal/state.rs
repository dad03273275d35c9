//! The terminal's two screens with their cursors, and what controls do to them.
//!
//! A cursor is always inside its screen. It may wait at the right edge for the next character, which then begins a new line:
//! xterm's and the VT100's way, so that a character in the last column scrolls nothing yet.

use super::REPLY_BYTES;
use super::cell::{Attributes, Cell, Style};
use super::charset::Charset;
use super::grid::Grid;
use super::modes::{CursorShape, Modes};
use crate::tty::accents::compose;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::ops::Range;
use unicode_width::UnicodeWidthChar;

/// Columns between tab stops, to begin with.
const TAB: usize = 8;

/// Where and how the next character is written: what DECSC saves, and the origin mode with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    pub column: usize,
    pub row: usize,
    /// The last column was written; the next character goes to the next line.
    pub waits: bool,
    pub style: Style,
    pub charsets: [Charset; 2],
    /// Whether G1 is in use instead of G0.
    pub uses_g1: bool,
    pub origin: bool,
}

/// A grid and its cursor.
#[derive(Debug)]
pub struct Screen {
    pub grid: Grid,
    pub cursor: Cursor,
    pub saved: Cursor,
}

/// What sequences change.
#[derive(Debug)]
pub struct State {
    primary: Screen,
    alternate: Screen,
    pub on_alternate: bool,
    /// The rows that scroll.
    pub region: Range<usize>,
    pub modes: Modes,
    pub shape: CursorShape,
    tab_stops: Vec<bool>,
    /// What REP repeats.
    pub last: char,
    pub reply: ArrayVec<u8, REPLY_BYTES>,
}

impl Screen {
    fn new(columns: usize, rows: usize, past_rows: usize) -> Result<Self, TryReserveError> {
        let grid = Grid::new(columns, rows, past_rows)?;
        Ok(Self { grid, cursor: Cursor::default(), saved: Cursor::default() })
    }
}

impl State {
    pub fn new(columns: usize, rows: usize, past_rows: usize) -> Result<Self, TryReserveError> {
        let primary = Screen::new(columns, rows, past_rows)?;
        let alternate = Screen::new(columns, rows, 0)?;
        let mut tab_stops = Vec::new();
        tab_stops.try_reserve_exact(primary.grid.columns())?;
        tab_stops.extend((0..primary.grid.columns()).map(|column| column % TAB == 0));
        Ok(Self {
            region: 0..primary.grid.rows(),
            primary,
            alternate,
            on_alternate: false,
            modes: Modes::new(),
            shape: CursorShape::default(),
            tab_stops,
            last: ' ',
            reply: ArrayVec::new(),
        })
    }

    /// Has the main screen go on in `grid` and answers the one it had; the same `grid` if that is of another size.
    pub fn move_to(&mut self, mut grid: Grid) -> Grid {
        let old = &mut self.primary.grid;
        if (grid.columns(), grid.rows()) == (old.columns(), old.rows()) {
            grid.take_over(old);
            core::mem::swap(&mut grid, old);
        }
        grid
    }

    pub fn screen(&self) -> &Screen {
        if self.on_alternate { &self.alternate } else { &self.primary }
    }

    pub fn screen_mut(&mut self) -> &mut Screen {
        if self.on_alternate { &mut self.alternate } else { &mut self.primary }
    }

    pub fn size(&self) -> (usize, usize) {
        (self.primary.grid.columns(), self.primary.grid.rows())
    }

    pub fn damage_all(&mut self) {
        let (_, rows) = self.size();
        self.screen_mut().grid.damage(0..rows);
    }

    /// What erasing leaves.
    pub fn blank(&self) -> Cell {
        Cell::blank(self.screen().cursor.style.background)
    }
}

/// Writing characters.
impl State {
    /// Writes one at the cursor, as the charset in use shows it.
    pub fn print(&mut self, character: char) {
        let cursor = &self.screen().cursor;
        let [g0, g1] = cursor.charsets;
        let character = if cursor.uses_g1 { g1 } else { g0 }.shown(character);
        self.put(character);
    }

    pub fn put(&mut self, character: char) {
        match character {
            ' '..='~' => self.put_wide(character, 1),
            _ => match character.width() {
                Some(width @ (1 | 2)) => self.put_wide(character, width),
                Some(_) => self.combine(character),
                None => {}
            },
        }
    }

    fn put_wide(&mut self, character: char, width: usize) {
        let (columns, _) = self.size();
        let (character, width) = if width > columns { (char::REPLACEMENT_CHARACTER, 1) } else { (character, width) };
        let (autowrap, insert) = (self.modes.autowrap, self.modes.insert);
        let fits = self.screen().cursor.column + width <= columns;
        if autowrap && (self.screen().cursor.waits || !fits) {
            self.screen_mut().cursor.column = 0;
            self.line_feed();
        } else if !fits {
            self.screen_mut().cursor.column = columns - width;
        }
        let blank = self.blank();
        let Screen { grid, cursor, .. } = self.screen_mut();
        let attributes = match width {
            1 => cursor.style.attributes,
            _ => cursor.style.attributes.with(Attributes::WIDE),
        };
        if insert {
            grid.insert_cells(cursor.row, cursor.column, width, blank);
        }
        grid.put(cursor.row, cursor.column, Cell::new(character, Style { attributes, ..cursor.style }));
        let next = cursor.column + width;
        cursor.waits = next >= columns;
        cursor.column = next.min(columns.saturating_sub(1));
        self.last = character;
    }

    /// Adds a combining mark to the character before the cursor, if the two have a character of their own.
    fn combine(&mut self, mark: char) {
        let Screen { grid, cursor, .. } = self.screen_mut();
        let before = if cursor.waits { Some(cursor.column) } else { cursor.column.checked_sub(1) };
        let Some(column) = before else { return };
        let Some(cell) = grid.line(cursor.row, 0).get(column).copied() else { return };
        if !cell.is_half()
            && let Some(composed) = compose(cell.character(), mark)
        {
            grid.put(cursor.row, column, Cell::new(composed, cell.style()));
        }
    }

    /// To the next row, which comes up from below at the scrolling region's end.
    pub fn line_feed(&mut self) {
        let (_, rows) = self.size();
        let row = self.screen().cursor.row;
        if row + 1 == self.region.end {
            self.scroll_up(self.region.clone(), 1);
        } else if row + 1 < rows {
            self.screen_mut().cursor.row += 1;
        }
        self.screen_mut().cursor.waits = false;
    }

    /// To the row above, which comes down at the scrolling region's start.
    pub fn reverse_line_feed(&mut self) {
        let row = self.screen().cursor.row;
        if row == self.region.start {
            self.scroll_down(self.region.clone(), 1);
        } else {
            self.screen_mut().cursor.row = row.saturating_sub(1);
        }
        self.screen_mut().cursor.waits = false;
    }

    pub fn scroll_up(&mut self, region: Range<usize>, count: usize) {
        let blank = self.blank();
        self.screen_mut().grid.scroll_up(region, count, blank);
    }

    pub fn scroll_down(&mut self, region: Range<usize>, count: usize) {
        let blank = self.blank();
        self.screen_mut().grid.scroll_down(region, count, blank);
    }
}

/// Moving the cursor.
impl State {
    /// To a column, the last at most.
    pub fn go_to_column(&mut self, column: usize) {
        let (columns, _) = self.size();
        let cursor = &mut self.screen_mut().cursor;
        cursor.column = column.min(columns.saturating_sub(1));
        cursor.waits = false;
    }

    /// To a row, counted as the origin mode says, and not out of where that keeps it.
    pub fn go_to_row(&mut self, row: usize) {
        let (_, rows) = self.size();
        let allowed = if self.modes.origin { self.region.clone() } else { 0..rows };
        let row = allowed.start.saturating_add(row).min(allowed.end.saturating_sub(1));
        let cursor = &mut self.screen_mut().cursor;
        cursor.row = row;
        cursor.waits = false;
    }

    /// Up, to the scrolling region's start at most if it is not above that.
    pub fn up(&mut self, count: usize) {
        let start = self.region.start;
        let cursor = &mut self.screen_mut().cursor;
        let least = if cursor.row >= start { start } else { 0 };
        cursor.row = cursor.row.saturating_sub(count).max(least);
        cursor.waits = false;
    }

    /// Down, to the scrolling region's end at most if it is not below that.
    pub fn down(&mut self, count: usize) {
        let (_, rows) = self.size();
        let end = self.region.end;
        let cursor = &mut self.screen_mut().cursor;
        let most = if cursor.row < end { end } else { rows };
        cursor.row = cursor.row.saturating_add(count).min(most.saturating_sub(1));
        cursor.waits = false;
    }

    pub fn left(&mut self, count: usize) {
        self.go_to_column(self.screen().cursor.column.saturating_sub(count));
    }

    pub fn right(&mut self, count: usize) {
        self.go_to_column(self.screen().cursor.column.saturating_add(count));
    }

    pub fn next_tab_stop(&mut self, count: usize) {
        let column = self.screen().cursor.column;
        let mut stops = (column + 1..self.tab_stops.len()).filter(|column| self.is_tab_stop(*column));
        let stop = stops.nth(count.saturating_sub(1)).unwrap_or(usize::MAX);
        self.go_to_column(stop);
    }

    pub fn previous_tab_stop(&mut self, count: usize) {
        let column = self.screen().cursor.column;
        let mut stops = (0..column).rev().filter(|column| self.is_tab_stop(*column));
        let stop = stops.nth(count.saturating_sub(1)).unwrap_or(0);
        self.go_to_column(stop);
    }

    pub fn set_tab_stop(&mut self, is_stop: bool) {
        let column = self.screen().cursor.column;
        if let Some(stop) = self.tab_stops.get_mut(column) {
            *stop = is_stop;
        }
    }

    pub fn clear_tab_stops(&mut self) {
        self.tab_stops.fill(false);
    }

    fn is_tab_stop(&self, column: usize) -> bool {
        self.tab_stops.get(column).is_some_and(|stop| *stop)
    }

    /// DECSTBM: rows `start` up to, not including, `end` scroll; the cursor goes home. A region of less than two rows is refused.
    pub fn set_region(&mut self, start: usize, end: usize) {
        let (_, rows) = self.size();
        let end = end.min(rows);
        if start + 1 < end || (start == 0 && end == rows) {
            self.region = start..end;
            self.go_to_column(0);
            self.go_to_row(0);
        }
    }
}

/// Saving, switching, resetting.
impl State {
    pub fn save_cursor(&mut self) {
        let origin = self.modes.origin;
        let screen = self.screen_mut();
        screen.saved = Cursor { origin, ..screen.cursor };
    }

    pub fn restore_cursor(&mut self) {
        let screen = self.screen_mut();
        screen.cursor = screen.saved;
        self.modes.origin = self.screen().saved.origin;
    }

    /// Shows the other screen, with the cursor where it is.
    pub fn show_alternate(&mut self, alternate: bool) {
        if alternate != self.on_alternate {
            let cursor = self.screen().cursor;
            self.on_alternate = alternate;
            self.screen_mut().cursor = cursor;
            self.damage_all();
        }
    }

    pub fn clear_screen(&mut self) {
        let (_, rows) = self.size();
        let blank = self.blank();
        self.screen_mut().grid.fill_rows(0..rows, blank);
    }

    /// DECSTR: modes, scrolling region, colours and charsets as at the start; what is shown stays.
    pub fn reset_softly(&mut self) {
        let (_, rows) = self.size();
        let old = self.modes;
        self.modes = Modes { reverse_screen: old.reverse_screen, mouse: old.mouse, ..Modes::new() };
        self.region = 0..rows;
        self.shape = CursorShape::default();
        let screen = self.screen_mut();
        screen.cursor = Cursor { column: screen.cursor.column, row: screen.cursor.row, ..Cursor::default() };
        screen.saved = Cursor::default();
    }

    /// RIS: everything as at the start, but the past.
    pub fn reset(&mut self) {
        self.show_alternate(true);
        self.screen_mut().cursor = Cursor::default();
        self.screen_mut().saved = Cursor::default();
        self.clear_screen();
        self.show_alternate(false);
        self.screen_mut().saved = Cursor::default();
        self.clear_screen();
        self.reset_softly();
        self.modes = Modes::new();
        for (column, stop) in self.tab_stops.iter_mut().enumerate() {
            *stop = column % TAB == 0;
        }
        self.last = ' ';
        self.damage_all();
    }

    /// As [`State::reset`], but what the main screen shows stays, and a cursor that was left outside it comes back.
    pub fn recover(&mut self) {
        self.on_alternate = false;
        self.modes = Modes::new();
        self.reset_softly();
        let (columns, rows) = self.size();
        let cursor = &mut self.screen_mut().cursor;
        cursor.column = cursor.column.min(columns.saturating_sub(1));
        cursor.row = cursor.row.min(rows.saturating_sub(1));
        if self.screen().cursor.column > 0 {
            self.screen_mut().cursor.column = 0;
            self.line_feed();
        }
        self.damage_all();
    }
}

/// The kernel's own lines: in the main screen, whichever is shown, and in no program's colours, modes or scrolling region.
impl State {
    pub fn begin_line(&mut self) {
        if self.primary.cursor.column > 0 {
            self.end_line();
        }
    }

    pub fn continue_line(&mut self, text: &str) {
        self.plainly(|state| {
            for character in text.chars() {
                match character {
                    '\n' => state.new_line(),
                    _ => state.put(character),
                }
            }
        });
    }

    pub fn end_line(&mut self) {
        self.plainly(Self::new_line);
    }

    fn new_line(&mut self) {
        self.screen_mut().cursor.column = 0;
        self.line_feed();
    }

    fn plainly(&mut self, write: impl FnOnce(&mut Self)) {
        let (_, rows) = self.size();
        let (modes, region, last) = (self.modes, self.region.clone(), self.last);
        let (on_alternate, style) = (self.on_alternate, self.primary.cursor.style);
        self.modes = Modes { autowrap: true, insert: false, ..modes };
        self.region = 0..rows;
        self.on_alternate = false;
        self.primary.cursor.style = Style::default();
        write(self);
        self.primary.cursor.style = style;
        if on_alternate {
            // Where a full-screen program that ends (mode 1049) puts the cursor back to.
            (self.primary.saved.column, self.primary.saved.row) = (self.primary.cursor.column, self.primary.cursor.row);
            self.primary.saved.waits = false;
        }
        (self.modes, self.region, self.last, self.on_alternate) = (modes, region, last, on_alternate);
    }
}
