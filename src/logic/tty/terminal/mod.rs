//! The terminal: takes the bytes that programs write, and knows what a screen should show for them.
//!
//! It does what ECMA-48 and xterm's control sequences have for full-screen programs; crate `vte` takes the bytes apart
//! (`perform`), `state` carries out. All memory is taken in [`Terminal::new`] and [`Memory::new`]: writing neither allocates nor panics, so that a panic
//! can use it, whatever state the last writer left it in ([`Terminal::recover`]).
//!
//! A combining mark is joined to its letter if Unicode has one character for both, else dropped. Characters of no width are
//! dropped too. Of sequences that set titles and the like nothing is kept.

mod cell;
mod charset;
mod grid;
mod modes;
mod perform;
#[cfg(test)]
mod properties;
mod state;
mod style;
#[cfg(test)]
mod tests;

pub use cell::{Attributes, Cell, Colour, Style};
pub use modes::{CursorShape, Modes};

use alloc::collections::TryReserveError;
use arrayvec::ArrayVec;
use grid::Grid;
use state::State;

/// Bytes of answers that are kept until somebody takes them; further answers are dropped.
pub const REPLY_BYTES: usize = 64;

/// Bytes of a title and the like that the parser keeps before nobody looks at them.
const STRING_BYTES: usize = 16;

/// Memory for the main screen's rows and a past.
pub struct Memory(Grid);

impl Memory {
    /// For a terminal of so many columns and rows.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(columns: usize, rows: usize, past_rows: usize) -> Result<Self, TryReserveError> {
        Ok(Self(Grid::new(columns, rows, past_rows)?))
    }
}

/// A terminal of some columns and rows, with a past to scroll back to.
pub struct Terminal {
    parser: vte::Parser<STRING_BYTES>,
    state: State,
    /// Rows that the view is scrolled back by.
    back: usize,
}

/// Where a cursor is to be shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// From the left edge.
    pub column: usize,
    /// From the top.
    pub row: usize,
    /// Its shape.
    pub shape: CursorShape,
}

impl Terminal {
    /// A blank terminal of at least one cell that keeps up to `past_rows` rows which scroll out of it.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(columns: usize, rows: usize, past_rows: usize) -> Result<Self, TryReserveError> {
        let state = State::new(columns, rows, past_rows)?;
        Ok(Self { parser: vte::Parser::new_with_size(), state, back: 0 })
    }

    /// Goes on in `memory`, which was made for a terminal of this size, and gives back what it had.
    pub fn move_to(&mut self, memory: Memory) -> Memory {
        Memory(self.state.move_to(memory.0))
    }

    /// Takes what a program writes. The view returns to the present.
    pub fn write(&mut self, bytes: &[u8]) {
        self.reset_view();
        // A character that was cut off by the end of the last call is completed byte by byte: the parser, given more, would drop
        // what follows the character (vte 0.15).
        let rest_of_character = bytes.iter().take(3).take_while(|byte| matches!(byte, 0x80..=0xbf)).count();
        let (first, rest) = bytes.split_at_checked(rest_of_character).unwrap_or((bytes, &[]));
        first.iter().for_each(|byte| self.parser.advance(&mut self.state, &[*byte]));
        if !rest.is_empty() {
            self.parser.advance(&mut self.state, rest);
        }
    }

    /// Writes a line of the kernel's own, without controls, in default colours: apart from what stands in the cursor's row, and
    /// not into a full-screen program's screen but into the one below it. It does not get between a program's half-written
    /// sequence and the rest. [`Terminal::continue_line`] adds to it, [`Terminal::end_line`] ends it.
    pub fn begin_line(&mut self) {
        self.reset_view();
        self.state.begin_line();
    }

    /// Adds `text` to the line that was begun. Controls in it are left out, but for a newline.
    pub fn continue_line(&mut self, text: &str) {
        self.state.continue_line(text);
    }

    /// Ends the line that was begun.
    pub fn end_line(&mut self) {
        self.state.end_line();
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        self.state.size()
    }

    /// What keys and pastes must be sent as, and other modes.
    pub fn modes(&self) -> &Modes {
        &self.state.modes
    }

    /// Answers to questions in what was written, to be given to the program as if they had been typed.
    pub fn take_reply(&mut self) -> ArrayVec<u8, REPLY_BYTES> {
        core::mem::take(&mut self.state.reply)
    }

    /// Scrolls the view: back by positive `rows`, to the present by negative ones, as far as there is something. Whether that
    /// changed anything.
    pub fn scroll_view(&mut self, rows: isize) -> bool {
        let past = self.state.screen().grid.past();
        let back = self.back.min(past).saturating_add_signed(rows).min(past);
        let changes = back != self.back;
        self.back = back;
        if changes {
            self.damage_all();
        }
        changes
    }

    /// Scrolls the view to the present. Whether that changed anything.
    pub fn reset_view(&mut self) -> bool {
        self.back > 0 && self.scroll_view(isize::MIN)
    }

    /// The cells of a row of the view.
    pub fn line(&self, row: usize) -> &[Cell] {
        self.state.screen().grid.line(row, self.back)
    }

    /// Whether default colours change places on all of the screen.
    pub fn is_reversed(&self) -> bool {
        self.state.modes.reverse_screen
    }

    /// The cursor, unless it is hidden or out of view.
    pub fn cursor(&self) -> Option<Cursor> {
        let (columns, rows) = self.size();
        let cursor = &self.state.screen().cursor;
        let shown = Cursor {
            column: cursor.column.min(columns.saturating_sub(1)),
            row: cursor.row.saturating_add(self.back),
            shape: self.state.shape,
        };
        (self.state.modes.show_cursor && shown.row < rows).then_some(shown)
    }

    /// Whether a row of the view has changed since this was last asked.
    pub fn take_damage(&mut self, row: usize) -> bool {
        self.state.screen_mut().grid.take_damage(row)
    }

    /// Has all rows drawn anew.
    pub fn damage_all(&mut self) {
        self.state.damage_all();
    }

    /// Makes the terminal fit for a panic's words, whatever was half written: modes, colours and the parser as after a reset, the
    /// main screen with its past, the cursor at the beginning of a row.
    pub fn recover(&mut self) {
        self.parser = vte::Parser::new_with_size();
        self.back = 0;
        self.state.recover();
    }
}
