//! Numbers side by side: a row for each node or policy, a column for each number, each with its own scale.

use super::axis::Axis;
use super::canvas::{Canvas, Point, Text};
use super::frame::{HEAD, MARGIN, WIDTH, fitting, head, what, what_one, widest};
use super::style::{AXIS, INK, Look, NOTHING, PALE_INK, SMALL, TEXT, width};
use crate::run::Run;
use crate::words::short;

const ROW: f64 = 30.;
const BAR: f64 = 16.;
const NAME_MAX: f64 = 150.;
/// Between two columns.
const GAP: f64 = 26.;

/// One column.
struct Column {
    title: &'static str,
    /// Below the title.
    unit: &'static str,
    cells: Vec<Cell>,
}

/// What a row has in a column.
enum Cell {
    Bar(f64, String),
    /// Several of a kind, each a dot.
    Dots(Vec<f64>, String),
}

impl Cell {
    fn most(&self) -> f64 {
        match self {
            Self::Bar(value, _) => *value,
            Self::Dots(values, _) => values.iter().copied().fold(0., f64::max),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Bar(_, text) | Self::Dots(_, text) => text,
        }
    }
}

/// The nodes of a run.
pub(super) fn of_nodes(run: &Run) -> String {
    let rows = run.nodes.iter().enumerate();
    let rows: Vec<(String, Look)> = rows
        .map(|(number, node)| (node.name.clone(), Look::of(number)))
        .collect();
    let count = |title, unit, of: &dyn Fn(&crate::NodeRun) -> u64| Column {
        title,
        unit,
        cells: run.nodes.iter().map(|node| counted(of(node))).collect(),
    };
    let columns = [
        Column {
            title: "share",
            unit: "% of all operations",
            cells: run.nodes.iter().map(|node| percent(node.share)).collect(),
        },
        count("retries", "begun again", &|node| node.summary.retries),
        count("lock cycles", "dropped, taken in order", &|node| {
            node.summary.lock_cycles
        }),
        count("fallbacks", "reached a bound", &|node| {
            node.summary.fallbacks
        }),
    ];
    let title = "What each node did, and what it cost";
    draw(title, &what_one(run), &rows, &columns)
}

/// Runs.
pub(super) fn of_runs(runs: &[Run]) -> String {
    let rows = runs.iter().map(|run| {
        let look = Look::of_policy(run.config.policy);
        (run.config.policy.to_string(), look)
    });
    let rows: Vec<(String, Look)> = rows.collect();
    let count = |title, unit, of: &dyn Fn(&Run) -> u64| Column {
        title,
        unit,
        cells: runs.iter().map(|run| counted(of(run))).collect(),
    };
    let rate = |run: &Run| Cell::Bar(run.total.ops_per_s, format!("{:.0}", run.total.ops_per_s));
    let columns = [
        Column {
            title: "operations",
            unit: "per second",
            cells: runs.iter().map(rate).collect(),
        },
        count("retries", "begun again", &|run| run.total.retries),
        count("lock cycles", "dropped, taken in order", &|run| {
            run.total.lock_cycles
        }),
        count("fallbacks", "reached a bound", &|run| run.total.fallbacks),
        Column {
            title: "share",
            unit: "% of all, a dot a node",
            cells: runs.iter().map(shares).collect(),
        },
    ];
    let below = runs
        .first()
        .map_or_else(String::new, |run| what(&run.config));
    draw(
        "What each policy did, and what it cost",
        &below,
        &rows,
        &columns,
    )
}

fn counted(count: u64) -> Cell {
    Cell::Bar(count as f64, short(count))
}

fn percent(share: f64) -> Cell {
    Cell::Bar(share * 100., format!("{:.1}", share * 100.))
}

fn shares(run: &Run) -> Cell {
    let shares: Vec<f64> = run.nodes.iter().map(|node| node.share * 100.).collect();
    let least = shares.iter().copied().reduce(f64::min).unwrap_or(0.);
    let most = shares.iter().copied().reduce(f64::max).unwrap_or(0.);
    Cell::Dots(shares, format!("{least:.0}–{most:.0}"))
}

fn draw(title: &str, below: &str, rows: &[(String, Look)], columns: &[Column]) -> String {
    let names = rows.iter().map(|(name, _)| name.as_str());
    let left = MARGIN + widest(names, TEXT).min(NAME_MAX) + 16.;
    let wide = (WIDTH - MARGIN - left + GAP) / columns.len() as f64 - GAP;
    let top = HEAD + 40.;
    let bottom = top + rows.len() as f64 * ROW;
    let mut canvas = Canvas::new(title, WIDTH, bottom + MARGIN);
    head(&mut canvas, title, below);
    let middle = |number: usize| top + (number as f64 + 0.5) * ROW;
    for (number, (name, _)) in rows.iter().enumerate() {
        let name = fitting(name, TEXT, NAME_MAX);
        canvas.text((MARGIN, middle(number)), Text::new(name, INK).bold());
    }
    for (number, column) in columns.iter().enumerate() {
        let start = left + number as f64 * (wide + GAP);
        canvas.text((start, HEAD + 10.), Text::new(column.title, INK));
        let unit = Text::new(column.unit, PALE_INK).size(SMALL);
        canvas.text((start, HEAD + 26.), unit);
        // What is written behind the longest bar has its room.
        let texts = column.cells.iter().map(Cell::text);
        let room = wide - widest(texts, TEXT) - 8.;
        let most = column.cells.iter().map(Cell::most).fold(0., f64::max);
        let axis = Axis::linear((0., most), (start, start + room));
        for (row, cell) in column.cells.iter().enumerate() {
            draw_cell(&mut canvas, cell, rows[row].1, &axis, (start, middle(row)));
        }
        canvas.line((start, top), (start, bottom), AXIS, 1.);
    }
    canvas.finish()
}

fn draw_cell(canvas: &mut Canvas, cell: &Cell, look: Look, axis: &Axis, (start, y): Point) {
    let end = match cell {
        Cell::Bar(value, _) => {
            let end = if *value > 0. {
                axis.at(*value).max(start + 1.)
            } else {
                start
            };
            canvas.rect((start, y - BAR / 2.), (end, y + BAR / 2.), look.color, 0.85);
            end
        }
        Cell::Dots(values, _) => {
            let ends = values.iter().map(|value| axis.at(*value));
            let (from, to) = ends.fold((f64::MAX, start), |(from, to), x| (from.min(x), to.max(x)));
            canvas.rect((from.min(to), y - 2.), (to, y + 2.), NOTHING, 1.);
            for value in values {
                canvas.dot((axis.at(*value), y), 4., look.color, 0.75);
            }
            to + 4.
        }
    };
    let text = cell.text();
    debug_assert!(width(text, TEXT) > 0.);
    canvas.text((end + 6., y), Text::new(text, INK));
}
