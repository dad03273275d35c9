//! The console at work: colours, characters and floods of text arrive on the screen, all of them.

use crate::harness::{ComposedImage, Machine, Mode};
use std::time::Duration;

/// Lines that `then=scroll` writes.
const LINES: usize = 10_000;
const TEXT: &str =
    "The quick brown fox jumps over the lazy dog, and the dog does not mind: it has seen many such foxes. ";

const PROMPT: &str = "eres>";

/// Rows of the test card that any display shows so.
const STYLES: &str = " inverse ";
const BOX: [&str; 2] = ["┌───┬───┐", "└───┴───┘"];

fn image(options: &[&str]) -> ComposedImage {
    ComposedImage::new(options)
}

#[test]
fn a_flood_of_lines_is_drawn_to_the_last() {
    // Below the lines come the report, and the prompt with a line before it.
    for (options, rows) in
        [(&["--command-line", "then=scroll"][..], 45), (&["--text", "--command-line", "then=scroll"], 22)]
    {
        let image = image(options);
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line("scrolled: 10000 lines in ");
        machine.expect_on_screen(PROMPT);
        // That picture may have been taken while the kernel drew.
        machine.expect_stays_up(Duration::from_secs(1));
        let screen = machine.screen();
        let shown: Vec<&str> = screen.rows.iter().map(String::as_str).collect();
        let expected: Vec<String> = (0..LINES)
            .rev()
            .flat_map(|line| {
                let (end, start) = TEXT.split_at(line % TEXT.len());
                let line: Vec<char> = format!("{line:5} {start}{end}").chars().collect();
                let rows = line.chunks(screen.columns).map(|row| row.iter().collect::<String>().trim_end().to_owned());
                rows.rev().collect::<Vec<_>>()
            })
            .take(rows)
            .collect();
        let expected: Vec<&str> = expected.iter().rev().map(String::as_str).collect();
        assert_eq!(&shown[..rows], expected, "{screen}");
    }
}

#[test]
fn what_has_scrolled_away_can_be_looked_at_until_a_key_is_pressed() {
    for options in [&["--command-line", "then=scroll"][..], &["--text", "--command-line", "then=scroll"]] {
        let image = image(options);
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_on_screen(PROMPT);
        machine.expect_stays_up(Duration::from_secs(1));
        let now = machine.screen().rows;
        let half = now.len() / 2;
        machine.send_key("shift-pgup");
        let earlier =
            machine.expect_on_screen_where("earlier lines", |screen| screen.rows[half..] == now[..now.len() - half]);
        assert!(!earlier.contains(PROMPT), "{earlier}");
        // Further than anything that was there when the kernel started.
        let first = |rows: &[String]| rows.iter().find_map(|row| row.get(..6)?.trim().parse::<usize>().ok());
        (1..8).for_each(|_| machine.send_key("shift-pgup"));
        let rows_of_a_line = TEXT.len() / now[0].len().max(80) + 1;
        let back = first(&now).expect("a numbered line") - 8 * half / rows_of_a_line;
        machine.expect_on_screen_where("much earlier lines", |screen| first(&screen.rows) == Some(back));
        machine.send_key("shift-pgdn");
        machine.type_text("x");
        let end = machine.expect_on_screen("eres> x").rows;
        assert_eq!(end[..now.len() - 1], now[..now.len() - 1]);
    }
}

#[test]
fn what_a_program_leaves_undrawn_is_drawn_soon() {
    let image = image(&["--command-line", "then=card"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line("ready");
    machine.expect_on_screen("└───┴───┘");
    machine.expect_stays_up(Duration::from_secs(1));
    let screen = machine.screen();
    assert_eq!(screen.mode, Mode::Graphics { width: 1024, height: 768 });
    assert!(BOX.iter().all(|row| screen.contains(row)) && screen.contains("äöüßéñçøŁ "), "{screen}");
    assert!(screen.contains(STYLES), "{screen}");
    let row = screen.rows.iter().position(|row| row.contains(" colour  1")).expect("a row of colours");
    let column = screen.rows[row].find(" colour  2").expect("a second colour");
    // Red on black, then a block of red.
    assert_eq!(machine.cell_colours(column - 6, row), [[0; 3], [0xaa, 0, 0]]);
    assert_eq!(machine.cell_colours(column - 2, row), [[0xaa, 0, 0]]);
    // The cube's first row, two cells a colour.
    assert_eq!(machine.cell_colours(10, row + 2), [[0, 0, 0xff]]);
    assert_eq!(machine.cell_colours(71, row + 7), [[0xff; 3]]);
    assert_eq!(machine.cell_colours(71, row + 8), [[0xff, 0, 0]], "true colour");
}

#[test]
fn text_mode_has_line_drawing_and_sixteen_colours() {
    let image = image(&["--text", "--command-line", "then=card"]);
    let mut machine = Machine::image(&image.path()).boot();
    let screen = machine.expect_on_screen("└───┴───┘ ╚═══╩═══╝");
    assert_eq!(screen.mode, Mode::VgaText);
    assert!(BOX.iter().all(|row| screen.contains(row)) && screen.contains("äöüßéñço"), "{screen}");
}

#[test]
fn what_the_kernel_said_last_is_on_the_screen_when_it_halts() {
    for options in [&["--command-line", "then=halt"][..], &["--text", "--command-line", "log=debug then=halt"]] {
        let image = image(options);
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line_where("the line `ready`", |line| line == "ready");
        machine.expect_on_screen("ready");
    }
}
