//! A grid of character cells with a cursor: what a screen of text shows, kept in memory so that scrolling never has to read
//! video memory. Changed cells, and only those, are drawn through [`CellDisplay`].

/// The most cells a grid can have: 240 by 67 for a 3840x2160 screen with 16x32 glyphs, with room to spare.
const MAX_CELLS: usize = 24 * 1024;

/// Columns between tab stops.
const TAB: usize = 8;

/// Something that shows characters in cells.
pub trait CellDisplay {
    /// Shows `character` in the cell at `column` and `row`, both of which the display said it has.
    fn draw(&mut self, column: usize, row: usize, character: char);
}

/// The cells of a screen and where the next character goes.
pub struct TextGrid {
    cells: [u16; MAX_CELLS],
    columns: usize,
    rows: usize,
    column: usize,
    row: usize,
}

impl TextGrid {
    /// A grid without a single cell, which swallows everything written to it.
    pub const fn new() -> Self {
        Self { cells: [BLANK; MAX_CELLS], columns: 0, rows: 0, column: 0, row: 0 }
    }

    /// Empties the grid and gives it a size, cut to what it can hold. The display must be blank.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns.min(MAX_CELLS);
        self.rows = rows.min(MAX_CELLS.checked_div(self.columns).unwrap_or(0));
        self.cells.fill(BLANK);
        (self.column, self.row) = (0, 0);
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Writes `text` at the cursor: lines wrap at the right edge, the grid scrolls at the bottom. Newline, carriage return
    /// and tab move the cursor; other control characters are ignored.
    pub fn write(&mut self, text: &str, display: &mut dyn CellDisplay) {
        if self.rows == 0 {
            return;
        }
        for character in text.chars() {
            match character {
                '\n' => self.new_line(display),
                '\r' => self.column = 0,
                '\t' => self.column = (self.column / TAB + 1) * TAB,
                _ if character.is_control() => {}
                _ => self.put(character, display),
            }
        }
    }

    fn put(&mut self, character: char, display: &mut dyn CellDisplay) {
        if self.column >= self.columns {
            self.new_line(display);
        }
        let index = self.row * self.columns + self.column;
        let cell = match character {
            ' ' => BLANK,
            _ => u16::try_from(u32::from(character)).unwrap_or(UNKNOWN),
        };
        self.set(index, cell, display);
        self.column += 1;
    }

    fn new_line(&mut self, display: &mut dyn CellDisplay) {
        self.column = 0;
        if self.row + 1 < self.rows {
            self.row += 1;
            return;
        }
        let end = self.rows * self.columns;
        for index in 0..end {
            let below = index + self.columns;
            let cell = if below < end { self.cells[below] } else { BLANK };
            self.set(index, cell, display);
        }
    }

    fn set(&mut self, index: usize, cell: u16, display: &mut dyn CellDisplay) {
        if self.cells[index] != cell {
            self.cells[index] = cell;
            let character = match cell {
                BLANK => ' ',
                _ => char::from_u32(u32::from(cell)).unwrap_or(char::REPLACEMENT_CHARACTER),
            };
            display.draw(index % self.columns, index / self.columns, character);
        }
    }
}

impl Default for TextGrid {
    fn default() -> Self {
        Self::new()
    }
}

/// An empty cell. Zero, so that a static grid costs no room in the kernel's file.
const BLANK: u16 = 0;
const UNKNOWN: u16 = char::REPLACEMENT_CHARACTER as u16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Screen(Vec<Vec<char>>);

    impl Screen {
        fn new(columns: usize, rows: usize) -> Self {
            Self(vec![vec![' '; columns]; rows])
        }

        fn lines(&self) -> Vec<String> {
            self.0.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
        }
    }

    impl CellDisplay for Screen {
        fn draw(&mut self, column: usize, row: usize, character: char) {
            self.0[row][column] = character;
        }
    }

    fn shown(columns: usize, rows: usize, text: &str) -> Vec<String> {
        let mut grid = Box::new(TextGrid::new());
        let mut screen = Screen::new(columns, rows);
        grid.resize(columns, rows);
        grid.write(text, &mut screen);
        screen.lines()
    }

    #[test]
    fn text_wraps_and_scrolls() {
        assert_eq!(shown(4, 3, "abcdef\ngh\nij"), ["ef", "gh", "ij"]);
        assert_eq!(shown(4, 2, "abcd\nef"), ["abcd", "ef"]);
    }

    #[test]
    fn carriage_return_overwrites_and_tabs_align() {
        assert_eq!(shown(20, 1, "abc\rX"), ["Xbc"]);
        assert_eq!(shown(20, 1, "a\tb"), ["a       b"]);
    }

    #[test]
    fn a_grid_of_no_size_swallows_text() {
        assert_eq!(shown(0, 0, "abc\n"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_text_stays_on_the_screen(columns in 1_usize..300, rows in 1_usize..100, text in "\\PC*[\\s\\PC]*") {
            // Screen panics on a cell that it does not have.
            shown(columns, rows, &text);
        }
    }
}
