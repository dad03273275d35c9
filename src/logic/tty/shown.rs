//! What a display shows, kept in memory: so only cells that changed are drawn, and scrolling never has to read video memory.

use super::terminal::{Attributes, Cell, Cursor, CursorShape, Terminal};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// Something that shows characters in cells.
pub trait CellDisplay {
    /// Shows `cells` from `column` of `row` on, all of which the display said it has.
    fn draw(&mut self, column: usize, row: usize, cells: &[Cell]);

    /// Tells where the cursor is from now on, if it is shown. A display may draw it itself, or draw the cell with
    /// [`Attributes::CURSOR`] as one, which comes to [`CellDisplay::draw`] in any case.
    fn place_cursor(&mut self, cursor: Option<Cursor>);
}

/// The cells of a display as they were last drawn.
pub struct Shown {
    cells: Vec<Cell>,
    columns: usize,
    cursor: Option<Cursor>,
    /// Whether the display is as told here.
    is_known: bool,
}

/// Not a cell that a terminal has.
const UNKNOWN: Cell = Cell::with(Attributes::WIDE.with(Attributes::CONTINUATION));

impl Shown {
    /// A display that is blank.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(columns: usize, rows: usize) -> Result<Self, TryReserveError> {
        let mut cells = Vec::new();
        let count = columns.saturating_mul(rows);
        cells.try_reserve_exact(count)?;
        cells.resize(count, Cell::default());
        Ok(Self { cells, columns, cursor: None, is_known: false })
    }

    /// Has everything drawn anew: the display may show anything.
    pub fn forget(&mut self) {
        self.cells.fill(UNKNOWN);
        self.is_known = false;
    }

    /// Draws what `display` does not show as `terminal` wants it, from `row` on, until `most` cells were drawn and a few more.
    /// The row to go on with, if that was not all.
    pub fn render(
        &mut self,
        terminal: &mut Terminal,
        display: &mut dyn CellDisplay,
        row: usize,
        most: usize,
    ) -> Option<usize> {
        let cursor = terminal.cursor();
        let moved = (cursor != self.cursor || !self.is_known).then_some((self.cursor, cursor));
        if let Some((old, new)) = moved {
            display.place_cursor(new);
            let shape = |cursor: Option<Cursor>| cursor.map_or(CursorShape::Block, |cursor| cursor.shape);
            if shape(old) != shape(new) {
                self.forget_cell(new);
            }
            // Both rows are drawn now: this may go on with a row behind them.
            for cursor in [old, new].into_iter().flatten() {
                self.render_row(terminal, display, cursor.row, new);
            }
            self.cursor = new;
            self.is_known = true;
        }
        let (_, rows) = terminal.size();
        let mut drawn = 0;
        for row in row..rows {
            if drawn >= most {
                return Some(row);
            }
            if terminal.take_damage(row) {
                drawn += self.render_row(terminal, display, row, cursor);
            }
        }
        None
    }

    /// Draws the cells of a row that differ; how many.
    fn render_row(
        &mut self,
        terminal: &Terminal,
        display: &mut dyn CellDisplay,
        row: usize,
        cursor: Option<Cursor>,
    ) -> usize {
        let start = row.saturating_mul(self.columns);
        let Some(shown) = self.cells.get_mut(start..start + self.columns) else { return 0 };
        let cursor_column = cursor.filter(|cursor| cursor.row == row).map(|cursor| cursor.column);
        let is_reversed = terminal.is_reversed();
        let mut drawn = 0;
        let mut run = 0..0;
        for (column, cell) in terminal.line(row).iter().enumerate().take(shown.len()) {
            let mut wanted = *cell;
            if is_reversed {
                wanted = wanted.with_attributes(wanted.attributes().toggled(Attributes::INVERSE));
            }
            if cursor_column == Some(column) {
                wanted = wanted.with_attributes(wanted.attributes().with(Attributes::CURSOR));
            }
            let Some(place) = shown.get_mut(column).filter(|shown| **shown != wanted) else { continue };
            *place = wanted;
            drawn += 1;
            if run.end != column {
                if !run.is_empty() {
                    display.draw(run.start, row, shown.get(run).unwrap_or_default());
                }
                run = column..column;
            }
            run.end += 1;
        }
        if !run.is_empty() {
            display.draw(run.start, row, shown.get(run).unwrap_or_default());
        }
        drawn
    }

    fn forget_cell(&mut self, cursor: Option<Cursor>) {
        let index = cursor.map(|cursor| cursor.row.saturating_mul(self.columns).saturating_add(cursor.column));
        if let Some(cell) = index.and_then(|index| self.cells.get_mut(index)) {
            *cell = UNKNOWN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Counts what is drawn, and panics on a cell that it does not have.
    struct Screen {
        cells: Vec<Vec<Cell>>,
        cursor: Option<Cursor>,
        drawn: usize,
    }

    impl Screen {
        fn new(columns: usize, rows: usize) -> Self {
            Self { cells: vec![vec![Cell::default(); columns]; rows], cursor: None, drawn: 0 }
        }

        #[track_caller]
        fn expect_shows(&self, terminal: &Terminal) {
            assert_eq!(self.cursor, terminal.cursor());
            for (row, cells) in self.cells.iter().enumerate() {
                for (column, cell) in cells.iter().enumerate() {
                    let has_cursor = self.cursor.is_some_and(|cursor| (cursor.column, cursor.row) == (column, row));
                    assert_eq!(cell.attributes().has(Attributes::CURSOR), has_cursor, "cursor at {column}, {row}");
                    let mut attributes = cell.attributes().without(Attributes::CURSOR);
                    if terminal.is_reversed() {
                        attributes = attributes.toggled(Attributes::INVERSE);
                    }
                    assert_eq!(cell.with_attributes(attributes), terminal.line(row)[column], "at {column}, {row}");
                }
            }
        }
    }

    impl CellDisplay for Screen {
        fn draw(&mut self, column: usize, row: usize, cells: &[Cell]) {
            self.cells[row][column..column + cells.len()].copy_from_slice(cells);
            self.drawn += cells.len();
        }

        fn place_cursor(&mut self, cursor: Option<Cursor>) {
            self.cursor = cursor;
        }
    }

    #[test]
    fn only_what_changes_is_drawn() {
        let mut terminal = Terminal::new(10, 4, 0).unwrap();
        let (mut shown, mut screen) = (Shown::new(10, 4).unwrap(), Screen::new(10, 4));
        let mut drawn = |bytes: &[u8]| {
            terminal.write(bytes);
            screen.drawn = 0;
            assert_eq!(shown.render(&mut terminal, &mut screen, 0, usize::MAX), None);
            screen.expect_shows(&terminal);
            screen.drawn
        };
        assert_eq!(drawn(b""), 1, "the cursor");
        assert_eq!(drawn(b"ab"), 3, "two letters and the cursor");
        assert_eq!(drawn(b"\rab"), 0);
        assert_eq!(drawn(b"\x1b[4 q"), 1, "another cursor");
        assert_eq!(drawn(b"\x1b[?25l"), 1);
        assert_eq!(drawn(b"\r\nab\r\nab\r\nab\r\nxb"), 6, "rows that scroll over their like are not drawn");
    }

    #[test]
    fn much_is_drawn_in_turns() {
        let mut terminal = Terminal::new(10, 4, 0).unwrap();
        let (mut shown, mut screen) = (Shown::new(10, 4).unwrap(), Screen::new(10, 4));
        shown.forget();
        let mut row = Some(0);
        let mut turns = 0;
        while let Some(next) = row {
            row = shown.render(&mut terminal, &mut screen, next, 1);
            turns += 1;
        }
        assert_eq!(turns, 3, "the cursor's row came with the first");
        screen.expect_shows(&terminal);
        shown.forget();
        terminal.damage_all();
        screen.cells = vec![vec![UNKNOWN; 10]; 4];
        assert_eq!(shown.render(&mut terminal, &mut screen, 0, usize::MAX), None);
        screen.expect_shows(&terminal);
    }

    proptest! {
        #[test]
        fn the_screen_shows_what_the_terminal_wants(
            writes in prop::collection::vec(("(\\x1b\\[[?]?[0-9]{0,2}(;[0-9])?[@-~]|[ -z漢\\n\\r]{0,9}){0,9}", -2_isize..4), 1..9),
        ) {
            let mut terminal = Terminal::new(9, 5, 7).unwrap();
            let (mut shown, mut screen) = (Shown::new(9, 5).unwrap(), Screen::new(9, 5));
            for (text, view) in writes {
                terminal.write(text.as_bytes());
                terminal.scroll_view(view);
                let mut row = Some(0);
                while let Some(next) = row {
                    row = shown.render(&mut terminal, &mut screen, next, 6);
                }
                screen.expect_shows(&terminal);
            }
        }
    }
}
