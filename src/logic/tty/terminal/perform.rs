//! Sequences to actions: ECMA-48's names, DEC's for private ones, xterm's control-sequence document for the rest.

use super::charset::Charset;
use super::modes::CursorShape;
use super::state::State;
use super::{Cell, Style, style};
use core::fmt::Write;
use vte::{Params, Perform};

/// What we say we are (DA1): a VT220 with colours.
const PRIMARY_ATTRIBUTES: &str = "\x1b[?62;22c";
/// And in which version (DA2): VT220, 1.0.
const SECONDARY_ATTRIBUTES: &str = "\x1b[>1;10;0c";

impl Perform for State {
    fn print(&mut self, character: char) {
        Self::print(self, character);
    }

    fn execute(&mut self, control: u8) {
        match control {
            0x08 => self.left(1),
            b'\t' => self.next_tab_stop(1),
            b'\n' | 0x0b | 0x0c => {
                self.line_feed();
                if self.modes.new_line {
                    self.go_to_column(0);
                }
            }
            b'\r' => self.go_to_column(0),
            0x0e => self.screen_mut().cursor.uses_g1 = true,
            0x0f => self.screen_mut().cursor.uses_g1 = false,
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, last: u8) {
        match (intermediates, last) {
            _ if ignore => {}
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'D') => self.line_feed(),
            ([], b'E') => {
                self.go_to_column(0);
                self.line_feed();
            }
            ([], b'H') => self.set_tab_stop(true),
            ([], b'M') => self.reverse_line_feed(),
            ([], b'Z') => self.answer(format_args!("{PRIMARY_ATTRIBUTES}")),
            ([], b'c') => self.reset(),
            ([], b'=') => self.modes.application_keypad = true,
            ([], b'>') => self.modes.application_keypad = false,
            ([b'#'], b'8') => self.show_alignment_pattern(),
            ([slot @ (b'(' | b')')], _) => {
                let charset = match last {
                    b'0' => Charset::SpecialGraphics,
                    b'A' => Charset::British,
                    _ => Charset::Ascii,
                };
                let [g0, g1] = &mut self.screen_mut().cursor.charsets;
                *(if *slot == b'(' { g0 } else { g1 }) = charset;
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, parameters: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        match intermediates {
            [] => self.standard_sequence(parameters, action),
            b"?" => self.private_sequence(parameters, action),
            b"!" if action == 'p' => self.reset_softly(),
            b" " if action == 'q' => {
                self.shape = match number(parameters, 0) {
                    3 | 4 => CursorShape::Underline,
                    5 | 6 => CursorShape::Bar,
                    _ => CursorShape::Block,
                }
            }
            b">" if action == 'c' && number(parameters, 0) == 0 => self.answer(format_args!("{SECONDARY_ATTRIBUTES}")),
            b"$" if action == 'p' => {
                let mode = number(parameters, 0);
                let state = state_of(self.modes.standard(mode));
                self.answer(format_args!("\x1b[{mode};{state}$y"));
            }
            b"?$" if action == 'p' => {
                let mode = number(parameters, 0);
                let state = match mode {
                    47 | 1047 | 1049 => state_of(Some(&mut self.on_alternate)),
                    _ => state_of(self.modes.private(mode)),
                };
                self.answer(format_args!("\x1b[?{mode};{state}$y"));
            }
            _ => {}
        }
    }
}

impl State {
    fn standard_sequence(&mut self, parameters: &Params, action: char) {
        let count = count(parameters, 0);
        let (columns, rows) = self.size();
        let (column, row) = (self.screen().cursor.column, self.screen().cursor.row);
        let blank = self.blank();
        match action {
            '@' => self.change_cells(|state| state.screen_mut().grid.insert_cells(row, column, count, blank)),
            'P' => self.change_cells(|state| state.screen_mut().grid.delete_cells(row, column, count, blank)),
            'X' => self.change_cells(|state| {
                state.screen_mut().grid.fill(row, column..column.saturating_add(count), blank);
            }),
            'A' | 'k' => self.up(count),
            'B' | 'e' => self.down(count),
            'C' | 'a' => self.right(count),
            'D' | 'j' => self.left(count),
            'E' => {
                self.down(count);
                self.go_to_column(0);
            }
            'F' => {
                self.up(count);
                self.go_to_column(0);
            }
            'G' | '`' => self.go_to_column(count - 1),
            'd' => self.go_to_row(count - 1),
            'H' | 'f' => {
                self.go_to_row(count - 1);
                self.go_to_column(self::count(parameters, 1) - 1);
            }
            'I' => self.next_tab_stop(count),
            'Z' => self.previous_tab_stop(count),
            'J' => self.erase_in_display(number(parameters, 0)),
            'K' => self.erase_in_line(number(parameters, 0)),
            'L' if self.region.contains(&row) => {
                self.scroll_down(row..self.region.end, count);
                self.go_to_column(0);
            }
            'M' if self.region.contains(&row) => {
                self.delete_lines(row, count);
                self.go_to_column(0);
            }
            'S' => self.scroll_up(self.region.clone(), count),
            // With more parameters it is for highlighting by mouse.
            'T' if parameters.len() <= 1 => self.scroll_down(self.region.clone(), count),
            'b' => {
                let last = self.last;
                // Beyond a screenful nothing would change.
                (0..count.min(columns.saturating_mul(rows))).for_each(|_| self.put(last));
            }
            'c' if number(parameters, 0) == 0 => self.answer(format_args!("{PRIMARY_ATTRIBUTES}")),
            'g' => match number(parameters, 0) {
                0 => self.set_tab_stop(false),
                3 => self.clear_tab_stops(),
                _ => {}
            },
            'h' | 'l' => {
                for mode in numbers(parameters) {
                    if let Some(mode) = self.modes.standard(mode) {
                        *mode = action == 'h';
                    }
                }
            }
            'm' => style::select(&mut self.screen_mut().cursor.style, parameters),
            'n' => match number(parameters, 0) {
                5 => self.answer(format_args!("\x1b[0n")),
                6 => self.report_cursor(""),
                _ => {}
            },
            'r' => {
                let end = match number(parameters, 1) {
                    0 => rows,
                    end => usize::from(end),
                };
                self.set_region(count - 1, end);
            }
            // With parameters it sets margins at the sides (DECSLRM), which there are not.
            's' if parameters.len() <= 1 => self.save_cursor(),
            'u' => self.restore_cursor(),
            't' if number(parameters, 0) == 18 => self.answer(format_args!("\x1b[8;{rows};{columns}t")),
            _ => {}
        }
    }

    fn private_sequence(&mut self, parameters: &Params, action: char) {
        match action {
            // Selective erasing: nothing is ever protected.
            'J' => self.erase_in_display(number(parameters, 0)),
            'K' => self.erase_in_line(number(parameters, 0)),
            'h' | 'l' => numbers(parameters).for_each(|mode| self.set_private_mode(mode, action == 'h')),
            'n' if number(parameters, 0) == 6 => self.report_cursor("?"),
            _ => {}
        }
    }

    fn set_private_mode(&mut self, number: u16, on: bool) {
        match number {
            47 => self.show_alternate(on),
            1047 => {
                if !on && self.on_alternate {
                    self.clear_screen();
                }
                self.show_alternate(on);
            }
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            1049 if on => {
                if !self.on_alternate {
                    self.save_cursor();
                }
                self.show_alternate(true);
                self.clear_screen();
            }
            1049 => {
                if self.on_alternate {
                    self.show_alternate(false);
                    self.restore_cursor();
                }
            }
            _ => {
                if let Some(mode) = self.modes.private(number) {
                    *mode = on;
                }
                match number {
                    5 => self.damage_all(),
                    6 => {
                        self.go_to_column(0);
                        self.go_to_row(0);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The cursor does not wait at the right edge any more once its row was changed.
    fn change_cells(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        self.screen_mut().cursor.waits = false;
    }

    /// DL: rows that go at the very top do not become the past, for it is not the screen that scrolls.
    fn delete_lines(&mut self, row: usize, count: usize) {
        let (region, blank) = (row..self.region.end, self.blank());
        let count = count.min(region.len());
        self.screen_mut().grid.remove_rows(region, count, blank);
    }

    fn erase_in_display(&mut self, what: u16) {
        let (_, rows) = self.size();
        let row = self.screen().cursor.row;
        let blank = self.blank();
        match what {
            0 => {
                self.erase_in_line(0);
                self.screen_mut().grid.fill_rows(row + 1..rows, blank);
            }
            1 => {
                self.erase_in_line(1);
                self.screen_mut().grid.fill_rows(0..row, blank);
            }
            2 => self.clear_screen(),
            3 => self.screen_mut().grid.forget_past(),
            _ => {}
        }
    }

    fn erase_in_line(&mut self, what: u16) {
        let (columns, _) = self.size();
        let (column, row) = (self.screen().cursor.column, self.screen().cursor.row);
        let erased = match what {
            0 => column..columns,
            1 => 0..column + 1,
            2 => 0..columns,
            _ => return,
        };
        let blank = self.blank();
        self.change_cells(|state| state.screen_mut().grid.fill(row, erased, blank));
    }

    /// DECALN: a screen full of E.
    fn show_alignment_pattern(&mut self) {
        let (_, rows) = self.size();
        self.modes.origin = false;
        self.region = 0..rows;
        self.go_to_column(0);
        self.go_to_row(0);
        self.screen_mut().grid.fill_rows(0..rows, Cell::new('E', Style::default()));
    }

    fn report_cursor(&mut self, mark: &str) {
        let cursor = &self.screen().cursor;
        let row = if self.modes.origin { cursor.row.saturating_sub(self.region.start) } else { cursor.row };
        let column = cursor.column;
        self.answer(format_args!("\x1b[{mark}{};{}R", row + 1, column + 1));
    }

    /// Keeps an answer, whole or not at all.
    fn answer(&mut self, text: core::fmt::Arguments<'_>) {
        let mut bytes = arrayvec::ArrayString::<32>::new();
        if bytes.write_fmt(text).is_ok() {
            // If there is no room, nobody has listened for long.
            let _ = self.reply.try_extend_from_slice(bytes.as_bytes());
        }
    }
}

/// What DECRQM answers: set, reset, or not recognised.
fn state_of(mode: Option<&mut bool>) -> u8 {
    match mode {
        Some(true) => 1,
        Some(false) => 2,
        None => 0,
    }
}

fn numbers(parameters: &Params) -> impl Iterator<Item = u16> {
    parameters.iter().filter_map(|parameter| parameter.first().copied())
}

/// Parameter `index`, 0 if it is left out.
fn number(parameters: &Params, index: usize) -> u16 {
    numbers(parameters).nth(index).unwrap_or(0)
}

/// Parameter `index` as a count or a place, at least 1.
fn count(parameters: &Params, index: usize) -> usize {
    usize::from(number(parameters, index)).max(1)
}
