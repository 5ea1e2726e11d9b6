//! A frame without a terminal: as plain text, or as a picture.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// A character's size in a picture.
const WIDE: usize = 8;
const HIGH: usize = 17;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d5d8df";

/// The lines, without the spaces at their ends, and without empty lines at the end.
pub(super) fn text(frame: &Buffer) -> String {
    let mut text = String::new();
    for line in lines(frame) {
        let line: String = line.iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// An SVG document: text on a grid, with the colours that a terminal would show.
pub(super) fn svg(frame: &Buffer) -> String {
    let area = frame.area;
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    let (width, height) = (columns * WIDE + 16, rows * HIGH + 16);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (row, line) in lines(frame).enumerate() {
        for run in line
            .chunk_by(|a, b| looks(a) == looks(b))
            .scan(0, |column, run| {
                let at = *column;
                *column += run.len();
                Some((at, run))
            })
        {
            draw(run, row, &mut svg);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn lines(frame: &Buffer) -> impl Iterator<Item = &[Cell]> {
    // No frame is less than a column wide.
    frame.content().chunks(usize::from(frame.area.width).max(1))
}

/// Foreground, background, whether it is bold, whether it is underlined.
fn looks(cell: &Cell) -> (&'static str, &'static str, bool, bool) {
    let (front, back) = (color(cell.fg, FOREGROUND), color(cell.bg, BACKGROUND));
    let has = |modifier| cell.modifier.contains(modifier);
    let (front, back) = match has(Modifier::REVERSED) {
        true => (back, front),
        false => (front, back),
    };
    (front, back, has(Modifier::BOLD), has(Modifier::UNDERLINED))
}

fn draw((column, run): (usize, &[Cell]), row: usize, to: &mut String) {
    let text: String = run.iter().map(Cell::symbol).collect();
    let (front, back, bold, underlined) = looks(&run[0]);
    let (x, y) = (8 + column * WIDE, 8 + row * HIGH);
    if back != BACKGROUND {
        let wide = run.len() * WIDE;
        let _ = writeln!(
            to,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{HIGH}\" fill=\"{back}\"/>"
        );
    }
    let trimmed = text.trim_end();
    if trimmed.is_empty() {
        return;
    }
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let line = if underlined {
        " text-decoration=\"underline\""
    } else {
        ""
    };
    let (base, wide) = (y + 13, trimmed.chars().count() * WIDE);
    let text = trimmed
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        to,
        "<text x=\"{x}\" y=\"{base}\" textLength=\"{wide}\" xml:space=\"preserve\" fill=\"{front}\"{weight}{line}>{text}</text>"
    );
}

const fn color(color: Color, default: &'static str) -> &'static str {
    match color {
        Color::Red => "#ff6b6b",
        Color::Green => "#7bc67b",
        Color::Yellow => "#e5c566",
        Color::Blue => "#6aa3f0",
        Color::Magenta => "#d08ae0",
        Color::Cyan => "#62c5d4",
        Color::DarkGray => "#7d838f",
        _ => default,
    }
}
