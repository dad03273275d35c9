//! The cells of a screen and, above them, the rows that have scrolled out of it.
//!
//! Rows never move in memory: `order` says which of them stands where, as a ring, so that scrolling costs a few numbers. No row
//! or column asked for, and no state that a panic may have left half changed, leads outside the memory: what is not there reads
//! as an empty row, and writing to it does nothing.

use super::cell::{Attributes, Cell};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

/// The most rows, those of the past included, because `order` has 16-bit numbers.
const MOST_ROWS: usize = 0xffff;

/// A screen of cells with a past.
#[derive(Debug)]
pub struct Grid {
    cells: Vec<Cell>,
    /// Which row of `cells` stands where, in a ring: those of the past, then those of the screen.
    order: Vec<u16>,
    columns: usize,
    rows: usize,
    /// Where in `order` the screen begins.
    top: usize,
    /// Rows of the past.
    past: usize,
    /// Rows of the screen that were changed.
    damaged: Vec<bool>,
}

impl Grid {
    /// A blank grid of at least one cell, with room for at most `past_rows` rows that scroll out.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(columns: usize, rows: usize, past_rows: usize) -> Result<Self, TryReserveError> {
        let (columns, rows) = (columns.max(1), rows.clamp(1, MOST_ROWS));
        let all = rows.saturating_add(past_rows).min(MOST_ROWS);
        let mut grid =
            Self { cells: Vec::new(), order: Vec::new(), columns, rows, top: 0, past: 0, damaged: Vec::new() };
        let count = all.saturating_mul(columns);
        grid.cells.try_reserve_exact(count)?;
        grid.cells.resize(count, Cell::default());
        grid.order.try_reserve_exact(all)?;
        grid.order.extend(0..all as u16);
        grid.damaged.try_reserve_exact(rows)?;
        grid.damaged.resize(rows, true);
        Ok(grid)
    }

    /// Takes over the rows of `other`, which has as many columns and rows on its screen, and no more of the past than this has room
    /// for.
    pub fn take_over(&mut self, other: &Self) {
        let past = other.past.min(self.order.len().saturating_sub(self.rows));
        (self.top, self.past) = (past, past);
        self.damage(0..self.rows);
        for back in (1..=past).rev() {
            let place = self.place(0, back);
            self.copy(place, other.line(0, back));
        }
        for row in 0..self.rows {
            let place = self.place(row, 0);
            self.copy(place, other.line(row, 0));
        }
    }

    fn copy(&mut self, place: usize, line: &[Cell]) {
        let Some(&index) = self.order.get(place) else { return };
        let start = usize::from(index) * self.columns;
        if let Some(cells) = self.cells.get_mut(start..start + self.columns).filter(|cells| cells.len() == line.len()) {
            cells.copy_from_slice(line);
        }
    }

    /// Cells in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of the screen.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the past that there are.
    pub fn past(&self) -> usize {
        self.past
    }

    /// Row `row` of the screen as it was `back` rows ago.
    pub fn line(&self, row: usize, back: usize) -> &[Cell] {
        self.order.get(self.place(row, back)).map_or(&[], |&index| {
            let start = usize::from(index) * self.columns;
            self.cells.get(start..start + self.columns).unwrap_or_default()
        })
    }

    /// Row `row` of the screen, to be changed.
    pub fn line_mut(&mut self, row: usize) -> &mut [Cell] {
        self.damage(row..row + 1);
        let Some(&index) = self.order.get(self.place(row, 0)) else { return &mut [] };
        let start = usize::from(index) * self.columns;
        self.cells.get_mut(start..start + self.columns).unwrap_or_default()
    }

    /// Notes that rows have to be drawn anew.
    pub fn damage(&mut self, rows: Range<usize>) {
        let end = rows.end.min(self.damaged.len());
        self.damaged.get_mut(rows.start..end).unwrap_or_default().fill(true);
    }

    /// Whether row `row` was changed since this was last asked.
    pub fn take_damage(&mut self, row: usize) -> bool {
        self.damaged.get_mut(row).is_some_and(core::mem::take)
    }

    /// Puts `cell` at `column`, its right half beside it if it is wide, and blanks the other halves of what was overwritten.
    pub fn put(&mut self, row: usize, column: usize, cell: Cell) {
        let attributes = cell.attributes();
        let width = if attributes.has(Attributes::WIDE) { 2 } else { 1 };
        let line = self.line_mut(row);
        split(line, column);
        split(line, column + width);
        if let Some(first) = line.get_mut(column) {
            *first = cell;
        }
        if width == 2
            && let Some(second) = line.get_mut(column + 1)
        {
            let half = attributes.without(Attributes::WIDE).with(Attributes::CONTINUATION);
            *second = Cell::new(' ', super::Style { attributes: half, ..cell.style() });
        }
    }

    /// Fills a stretch of a row.
    pub fn fill(&mut self, row: usize, columns: Range<usize>, cell: Cell) {
        let line = self.line_mut(row);
        let end = columns.end.min(line.len());
        split(line, columns.start);
        split(line, end);
        line.get_mut(columns.start..end).unwrap_or_default().fill(cell);
    }

    /// Fills rows.
    pub fn fill_rows(&mut self, rows: Range<usize>, cell: Cell) {
        for row in rows.start..rows.end.min(self.rows) {
            self.line_mut(row).fill(cell);
        }
    }

    /// Moves what stands from `column` on to the right by `count` cells, which are left blank.
    pub fn insert_cells(&mut self, row: usize, column: usize, count: usize, blank: Cell) {
        let line = self.line_mut(row);
        split(line, column);
        let rest = line.get_mut(column..).unwrap_or_default();
        let count = count.min(rest.len());
        // The right half of what is cut in two goes with it.
        let kept = rest.len() - count;
        split(rest, kept);
        rest.copy_within(..kept, count);
        rest.get_mut(..count).unwrap_or_default().fill(blank);
    }

    /// Takes `count` cells out at `column`; what stands to the right moves up, and blanks follow.
    pub fn delete_cells(&mut self, row: usize, column: usize, count: usize, blank: Cell) {
        let line = self.line_mut(row);
        split(line, column);
        let rest = line.get_mut(column..).unwrap_or_default();
        let count = count.min(rest.len());
        split(rest, count);
        rest.copy_within(count.., 0);
        let kept = rest.len() - count;
        rest.get_mut(kept..).unwrap_or_default().fill(blank);
    }

    /// Moves the rows of `region` up by `count`; blank ones come in at its bottom. Those that leave by the screen's top become
    /// the past.
    pub fn scroll_up(&mut self, region: Range<usize>, count: usize, blank: Cell) {
        let (start, end) = (region.start, region.end.min(self.rows));
        if start >= end {
            return;
        }
        if start > 0 {
            return self.remove_rows(region, count, blank);
        }
        for _ in 0..count.min(end) {
            self.top = (self.top + 1) % self.order.len().max(1);
            self.past = (self.past + 1).min(self.order.len().saturating_sub(self.rows));
            // What stands below the region has come up too, and the new row goes above it.
            self.rotate_down(end - 1..self.rows);
            self.line_mut(end - 1).fill(blank);
        }
        self.damage(0..end);
    }

    /// Moves the rows of `region` up by `count`, and those that leave it are lost; blank ones come in at its bottom.
    pub fn remove_rows(&mut self, region: Range<usize>, count: usize, blank: Cell) {
        let (start, end) = (region.start, region.end.min(self.rows));
        for _ in 0..count.min(end.saturating_sub(start)) {
            self.rotate_up(start..end);
            self.line_mut(end - 1).fill(blank);
        }
        self.damage(start..end);
    }

    /// Moves the rows of `region` down by `count`; blank ones come in at its top.
    pub fn scroll_down(&mut self, region: Range<usize>, count: usize, blank: Cell) {
        let (start, end) = (region.start, region.end.min(self.rows));
        if start >= end {
            return;
        }
        for _ in 0..count.min(end - start) {
            self.rotate_down(start..end);
            self.line_mut(start).fill(blank);
        }
        self.damage(start..end);
    }

    /// Forgets the past.
    pub fn forget_past(&mut self) {
        self.past = 0;
    }

    /// Where in `order` a row of the screen, as it was `back` rows ago, stands.
    fn place(&self, row: usize, back: usize) -> usize {
        let all = self.order.len().max(1);
        let back = back.min(self.past);
        // `back` is less than `all`, because the past is.
        (self.top + row + (all - back % all)) % all
    }

    /// The last row of `rows` becomes the first.
    fn rotate_down(&mut self, rows: Range<usize>) {
        for row in rows.start + 1..rows.end {
            let (first, other) = (self.place(rows.start, 0), self.place(row, 0));
            self.swap(first, other);
        }
    }

    /// The first row of `rows` becomes the last.
    fn rotate_up(&mut self, rows: Range<usize>) {
        for row in rows.start + 1..rows.end {
            let (above, below) = (self.place(row - 1, 0), self.place(row, 0));
            self.swap(above, below);
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        if one < self.order.len() && other < self.order.len() {
            self.order.swap(one, other);
        }
    }
}

/// Blanks both halves of a wide character that is about to be cut in two at `column`.
fn split(line: &mut [Cell], column: usize) {
    let right = line.get(column).is_some_and(|cell| cell.attributes().has(Attributes::CONTINUATION));
    if let Some(left) = column.checked_sub(1).filter(|_| right) {
        for cell in line.get_mut(left..=column).unwrap_or_default() {
            *cell = Cell::blank(cell.style().background);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tty::terminal::Style;

    /// A grid whose rows begin with the letters of `text`, from the top.
    fn lettered(text: &str, past_rows: usize) -> Grid {
        let mut grid = Grid::new(2, text.len(), past_rows).unwrap();
        for (row, letter) in text.chars().enumerate() {
            grid.put(row, 0, Cell::new(letter, Style::default()));
        }
        grid
    }

    fn letters(grid: &Grid, back: usize) -> String {
        (0..grid.rows()).map(|row| grid.line(row, back)[0].character()).collect()
    }

    #[test]
    fn whole_screens_scroll_into_the_past_until_that_is_full() {
        let mut grid = lettered("abcd", 3);
        grid.scroll_up(0..4, 2, Cell::default());
        assert_eq!((letters(&grid, 0).as_str(), grid.past()), ("cd  ", 2));
        assert_eq!((letters(&grid, 1).as_str(), letters(&grid, 2).as_str()), ("bcd ", "abcd"));
        assert_eq!(letters(&grid, 99), "abcd");
        grid.scroll_up(0..4, 2, Cell::default());
        assert_eq!((letters(&grid, 3).as_str(), grid.past()), ("bcd ", 3));
        grid.forget_past();
        assert_eq!(letters(&grid, 3), "    ");
    }

    #[test]
    fn a_grid_with_room_for_more_takes_over_all_of_another() {
        for scrolled in [0, 2, 3, 7] {
            let mut grid = lettered("abcd", 3);
            (0..scrolled).for_each(|_| grid.scroll_up(0..4, 1, Cell::default()));
            let mut larger = Grid::new(2, 4, 9).unwrap();
            larger.take_over(&grid);
            for back in 0..=grid.past() {
                assert_eq!(letters(&larger, back), letters(&grid, back), "{scrolled} scrolled, {back} back");
            }
            assert_eq!(larger.past(), grid.past());
            larger.scroll_up(0..4, 9, Cell::default());
            assert_eq!(larger.past(), (grid.past() + 4).min(9));
        }
    }

    #[test]
    fn regions_scroll_and_leave_the_rest_alone() {
        let mut grid = lettered("abcde", 2);
        grid.scroll_up(1..4, 1, Cell::default());
        assert_eq!((letters(&grid, 0).as_str(), grid.past()), ("acd e", 0));
        grid.scroll_down(1..4, 2, Cell::default());
        assert_eq!(letters(&grid, 0), "a  ce");
        grid.scroll_up(0..4, 1, Cell::default());
        assert_eq!((letters(&grid, 0).as_str(), letters(&grid, 1).as_str()), ("  c e", "a  c "));
        grid.scroll_up(0..9, 99, Cell::default());
        assert_eq!(letters(&grid, 0), "     ");
        grid.scroll_down(3..3, 1, Cell::default());
    }

    #[test]
    fn damage_is_told_once_for_each_row() {
        let mut grid = lettered("abc", 0);
        let mut taken =
            |rows: &[usize]| assert_eq!((0..4).filter(|row| grid.take_damage(*row)).collect::<Vec<_>>(), rows);
        taken(&[0, 1, 2]);
        taken(&[]);
        grid.fill(1, 0..1, Cell::default());
        assert!(!grid.take_damage(0) && grid.take_damage(1) && !grid.take_damage(2));
        grid.scroll_down(1..3, 1, Cell::default());
        assert!(!grid.take_damage(0) && grid.take_damage(1) && grid.take_damage(2));
    }

    #[test]
    fn half_of_a_wide_character_never_stays_alone() {
        let wide = Cell::new('漢', Style { attributes: Attributes::WIDE, ..Style::default() });
        let x = Cell::new('x', Style::default());
        let changes: [fn(&mut Grid, Cell); 6] = [
            |grid, x| grid.put(0, 2, x),
            |grid, x| grid.put(0, 3, x),
            |grid, x| grid.fill(0, 0..3, x),
            |grid, x| grid.fill(0, 3..6, x),
            |grid, x| grid.insert_cells(0, 3, 1, x),
            |grid, x| grid.delete_cells(0, 3, 1, x),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut grid = Grid::new(6, 1, 0).unwrap();
            grid.put(0, 2, wide);
            change(&mut grid, x);
            assert!(grid.line(0, 0).iter().all(|cell| !cell.is_half()), "change {number}");
        }
        let mut grid = Grid::new(6, 1, 0).unwrap();
        grid.put(0, 4, wide);
        grid.insert_cells(0, 0, 1, x);
        assert!(grid.line(0, 0).iter().all(|cell| !cell.is_half()), "pushed over the edge");
    }
}
