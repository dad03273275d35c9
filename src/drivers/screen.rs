//! The screen, whichever it is: a terminal shown on VGA text memory or in a framebuffer.
//!
//! A terminal needs memory. Where there is none (yet), lines are drawn as they come, and start over at the top of a full screen.

use super::framebuffer::FramebufferText;
use super::vga::VgaText;
use crate::hw::frames;
use logic::display::Display;
use logic::log_code::paint::{LEAST_SCALE, half_block, scale};
use logic::log_code::symbol::Symbol;
use logic::tty::terminal::{Attributes, Cell, Colour, Memory, Style, Terminal};
use logic::tty::{CellDisplay, Shown};

/// Rows that can be scrolled back to where memory is no matter; while the kernel starts, which has no time to take all of that.
const PAST_ROWS: usize = 1000;
const EARLY_PAST_ROWS: usize = 50;
/// The past takes at most this part of the memory that is free.
const PAST_SHARE: u64 = 64;

/// Columns of text beside a QR code in text mode, at least.
const COLUMNS_BESIDE: usize = 28;
/// A QR code is white and black, whatever the display's usual colours.
const CODE_STYLE: Style =
    Style { attributes: Attributes::NONE, foreground: Colour::Indexed(15), background: Colour::Indexed(0) };

/// What a QR code shares the screen with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CodePlace {
    /// The text that is there stays, at the left.
    BesideText,
    /// It has all of the screen that it can use.
    Alone,
}

/// What shows cells.
#[expect(clippy::large_enum_variant, reason = "there is one, and it is needed where there is no heap to box it in")]
enum Adapter {
    None,
    Vga(VgaText),
    Framebuffer(FramebufferText),
}

/// Rows that the past's share of memory has room for.
fn share_of_rows(columns: usize) -> usize {
    let share = frames::free_frames() * frames::FRAME_BYTES / PAST_SHARE;
    usize::try_from(share).unwrap_or(usize::MAX) / (columns.max(1) * size_of::<Cell>())
}

/// A terminal, and what the display shows of it.
struct Text {
    terminal: Terminal,
    shown: Shown,
}

/// A display with what it is to show. Without a display, it takes everything and shows nothing.
pub struct Screen {
    adapter: Adapter,
    columns: usize,
    rows: usize,
    text: Option<Text>,
    /// A QR code hides the text.
    is_covered: bool,
    /// Text on the code's page goes there, up to that column.
    beside: (usize, usize),
    columns_beside: usize,
    /// Without a terminal: where the next character goes.
    column: usize,
    row: usize,
}

impl Screen {
    /// No display.
    pub const fn none() -> Self {
        Self {
            adapter: Adapter::None,
            columns: 0,
            rows: 0,
            text: None,
            is_covered: false,
            beside: (0, 0),
            columns_beside: 0,
            column: 0,
            row: 0,
        }
    }

    /// Maps and blanks a display; `None` if there is none, or not for us.
    pub fn new(display: Display) -> Option<Self> {
        let (adapter, (columns, rows)) = match display {
            Display::None => return None,
            Display::Text { columns, rows } => {
                let size = (columns as usize, rows as usize);
                (Adapter::Vga(VgaText::new(size.0, size.1)?), size)
            }
            Display::Framebuffer(framebuffer) => {
                let text = FramebufferText::new(&framebuffer)?;
                let size = text.size();
                (Adapter::Framebuffer(text), size)
            }
        };
        (columns > 0 && rows > 0).then_some(Self { adapter, columns, rows, ..Self::none() })
    }

    /// Gives it a terminal if there is memory for one. Kernel memory must be there to be taken.
    pub fn with_terminal(mut self) -> Self {
        let text = |past_rows| -> Result<Text, alloc::collections::TryReserveError> {
            let shown = Shown::new(self.columns, self.rows)?;
            Ok(Text { terminal: Terminal::new(self.columns, self.rows, past_rows)?, shown })
        };
        self.text = text(share_of_rows(self.columns).min(EARLY_PAST_ROWS)).or_else(|_| text(0)).ok();
        self
    }

    /// Memory to scroll back further than while the kernel started, for [`Terminal::move_to`]. Called without a lock.
    pub fn memory(columns: usize, rows: usize) -> Option<Memory> {
        let past_rows = share_of_rows(columns).min(PAST_ROWS);
        (past_rows > EARLY_PAST_ROWS).then(|| Memory::new(columns, rows, past_rows).ok())?
    }

    /// Whether there is a display.
    pub fn is_there(&self) -> bool {
        !matches!(self.adapter, Adapter::None)
    }

    /// Columns and rows, 0 without a display.
    pub fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// The terminal.
    pub fn terminal(&mut self) -> Option<&mut Terminal> {
        self.text.as_mut().map(|text| &mut text.terminal)
    }

    /// Takes a program's output.
    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.text {
            Some(text) => text.terminal.write(bytes),
            None => bytes.utf8_chunks().for_each(|chunk| self.draw_plainly(chunk.valid())),
        }
    }

    /// Begins a line of the kernel's own; see [`Terminal::begin_line`].
    pub fn begin_line(&mut self) {
        match &mut self.text {
            Some(text) => text.terminal.begin_line(),
            None if self.column > 0 => self.end_line(),
            None => {}
        }
    }

    /// Adds to that line.
    pub fn continue_line(&mut self, words: &str) {
        match &mut self.text {
            Some(text) => text.terminal.continue_line(words),
            None => self.draw_plainly(words),
        }
    }

    /// Ends that line.
    pub fn end_line(&mut self) {
        match &mut self.text {
            Some(text) => text.terminal.end_line(),
            None => self.draw_plainly("\n"),
        }
    }

    /// Draws what is not shown as it should be, from `row` on, until about `most` cells were drawn. The row to go on with if that
    /// was not all.
    pub fn render(&mut self, row: usize, most: usize) -> Option<usize> {
        let text = self.text.as_mut().filter(|_| !self.is_covered)?;
        let display: &mut dyn CellDisplay = match &mut self.adapter {
            Adapter::None => return None,
            Adapter::Vga(display) => display,
            Adapter::Framebuffer(display) => display,
        };
        text.shown.render(&mut text.terminal, display, row, most)
    }

    /// Makes the screen fit for a panic's words, whatever was half done.
    pub fn recover(&mut self) {
        self.show_page(false);
        self.is_covered = false;
        if let Some(text) = &mut self.text {
            text.terminal.recover();
            text.shown.forget();
        }
    }

    /// Columns that a QR code leaves to the text beside it: 80 of the 128 that 1024 pixels have room for. In text mode the code has a
    /// page of its own.
    pub fn columns_beside_code(&self) -> usize {
        match &self.adapter {
            Adapter::Framebuffer(_) => self.columns - self.columns * 3 / 8,
            Adapter::None | Adapter::Vga(_) => self.columns,
        }
    }

    /// Modules at each side of the largest code that there is room for.
    pub fn most_modules(&self, place: CodePlace) -> usize {
        match &self.adapter {
            Adapter::None => 0,
            Adapter::Vga(display) if !display.has_second_page() => 0,
            Adapter::Vga(_) => self.columns.saturating_sub(COLUMNS_BESIDE).min(self.rows * 2),
            Adapter::Framebuffer(display) => {
                let (width, height) = display.room_beside(self.text_columns(place));
                width.min(height) / LEAST_SCALE
            }
        }
    }

    /// Draws a row of a code's modules; with the first one the text stays as it is until [`uncover`](Self::uncover).
    pub fn draw_code_row(&mut self, symbol: &Symbol<'_>, row: usize, place: CodePlace) {
        let text_columns = self.text_columns(place);
        if row == 0 {
            self.begin_code(symbol);
        }
        match &mut self.adapter {
            Adapter::None => {}
            // A cell is two modules high.
            Adapter::Vga(display) if row.is_multiple_of(2) => {
                for column in 0..symbol.size() {
                    let cell = Cell::new(half_block(symbol, column, row / 2), CODE_STYLE);
                    display.draw_on_second_page(self.columns_beside + column, row / 2, cell);
                }
            }
            Adapter::Vga(_) => {}
            Adapter::Framebuffer(display) => {
                if let Some(scale) = scale(symbol, display.room_beside(text_columns)) {
                    display.draw_code_row(symbol, row, scale);
                }
            }
        }
    }

    fn begin_code(&mut self, symbol: &Symbol<'_>) {
        self.is_covered = true;
        (self.beside, self.columns_beside) = ((0, 0), self.columns.saturating_sub(symbol.size()));
        if let Adapter::Vga(display) = &mut self.adapter {
            let cells = (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (column, row)));
            cells.for_each(|(column, row)| display.draw_on_second_page(column, row, Cell::default()));
        }
    }

    /// Adds text to the page that a code has in text mode, beside the code. Elsewhere the text is there already.
    pub fn write_beside_code(&mut self, words: &str) {
        let Adapter::Vga(display) = &mut self.adapter else { return };
        let (column, row) = &mut self.beside;
        for character in words.chars() {
            // One column of distance.
            if character == '\n' || *column + 1 >= self.columns_beside {
                (*column, *row) = (0, *row + 1);
            }
            if !character.is_control() {
                display.draw_on_second_page(*column, *row, Cell::new(character, Style::default()));
                *column += 1;
            }
        }
    }

    /// Whether a code is on a page of its own.
    pub fn has_code_page(&self) -> bool {
        self.is_covered && matches!(self.adapter, Adapter::Vga(_))
    }

    /// Shows the code's page, or the text's.
    pub fn show_page(&mut self, of_code: bool) {
        if let Adapter::Vga(display) = &mut self.adapter {
            display.turn_page(of_code);
        }
    }

    /// Brings the text back, to be rendered.
    pub fn uncover(&mut self) {
        self.show_page(false);
        self.is_covered = false;
        if let Some(text) = &mut self.text {
            text.terminal.damage_all();
            text.shown.forget();
        }
    }

    fn text_columns(&self, place: CodePlace) -> usize {
        match place {
            CodePlace::BesideText => self.columns_beside_code(),
            CodePlace::Alone => 0,
        }
    }

    fn draw_plainly(&mut self, words: &str) {
        for character in words.chars() {
            match character {
                '\n' => self.begin_row(),
                '\r' => self.column = 0,
                _ if character.is_control() => {}
                _ => {
                    if self.column >= self.columns {
                        self.begin_row();
                    }
                    self.draw_cell(self.column, Cell::new(character, Style::default()));
                    self.column += 1;
                }
            }
        }
    }

    fn begin_row(&mut self) {
        self.column = 0;
        self.row = if self.row + 1 < self.rows { self.row + 1 } else { 0 };
        (0..self.columns).for_each(|column| self.draw_cell(column, Cell::default()));
    }

    fn draw_cell(&mut self, column: usize, cell: Cell) {
        match &mut self.adapter {
            Adapter::None => {}
            Adapter::Vga(display) => display.draw(column, self.row, &[cell]),
            Adapter::Framebuffer(display) => display.draw(column, self.row, &[cell]),
        }
    }
}
