//! What all pictures have in common: a title, what was run, rows over one time axis.

use super::axis::Axis;
use super::canvas::{Canvas, Text};
use super::style::{AXIS, GRID, INK, PALE_INK, SMALL, TITLE, width};
use crate::config::Config;
use crate::run::Run;
use crate::words::{counted, of_bytes};

/// The width of every picture.
pub(super) const WIDTH: f64 = 960.;
/// What is free at all sides.
pub(super) const MARGIN: f64 = 18.;
/// Where the title ends.
pub(super) const HEAD: f64 = 64.;

/// The title, and in a line below it what was run.
pub(super) fn head(canvas: &mut Canvas, title: &str, below: &str) {
    let title = Text::new(title, INK).size(TITLE).bold();
    canvas.text((MARGIN, 24.), title);
    canvas.text((MARGIN, 45.), Text::new(below, PALE_INK));
}

/// What was run, without the policy: of several runs it is that of the first.
pub(super) fn what(config: &Config) -> String {
    let tasks = counted(config.tasks as u64, "task");
    format!(
        "{}: {} of {tasks}, {} files{}, I/O of {} KiB, {} % reads, seed {}",
        config.group,
        counted(config.nodes.len() as u64, "node"),
        config.files,
        of_bytes(config.file_bytes),
        config.io_bytes / 1024,
        config.reads_percent,
        config.seed
    )
}

/// What was run, with the policy.
pub(super) fn what_one(run: &Run) -> String {
    format!("{}, {}", run.config.policy, what(&run.config))
}

/// Marks and a title below a horizontal axis at height `y`.
pub(super) fn horizontal(
    canvas: &mut Canvas,
    axis: &Axis,
    (start, end): (f64, f64),
    y: f64,
    marks: &[(f64, String)],
    title: &str,
) {
    canvas.line((start, y), (end, y), AXIS, 1.);
    for (value, text) in marks {
        let x = axis.at(*value);
        canvas.line((x, y), (x, y + 4.), AXIS, 1.);
        let text = Text::new(text, PALE_INK).size(SMALL).centered();
        canvas.text((x, y + 14.), text);
    }
    let middle = (start + end) / 2.;
    canvas.text((middle, y + 33.), Text::new(title, PALE_INK).centered());
}

/// A line to read off numbers, with the number left of it.
pub(super) fn across(canvas: &mut Canvas, (start, end): (f64, f64), y: f64, text: &str) {
    canvas.line((start, y), (end, y), GRID, 1.);
    let text = Text::new(text, PALE_INK).size(SMALL).right();
    canvas.text((start - 6., y), text);
}

/// The widest of texts.
pub(super) fn widest<'t>(texts: impl IntoIterator<Item = &'t str>, size: f64) -> f64 {
    let widths = texts.into_iter().map(|text| width(text, size));
    widths.fold(0., f64::max)
}

/// A name that does not fit is cut.
pub(super) fn fitting(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while !kept.is_empty() && width(&kept, size) + width("…", size) > most {
        kept.pop();
    }
    kept + "…"
}

/// A number for a mark: without what is behind its last digit that says something.
pub(super) fn number(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", trimmed(value / 1e6))
    } else if value >= 1e4 {
        format!("{}k", trimmed(value / 1e3))
    } else {
        trimmed(value)
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_short() {
        for (value, text) in [
            (0., "0"),
            (0.25, "0.25"),
            (400., "400"),
            (12_500., "12.5k"),
            (3e6, "3M"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(fitting("node1", 10., 100.), "node1");
        assert!(fitting("a-very-long-name-of-a-node", 10., 60.).ends_with('…'));
    }
}
