//! Distributions of latencies: what part of all operations took no longer, on logarithmic axes, so that the slowest of
//! a thousand are seen as well as the middle.

use super::axis::Axis;
use super::canvas::{Canvas, Point, Text};
use super::frame::{HEAD, MARGIN, WIDTH, across, fitting, head, horizontal, what, what_one};
use super::style::{GRID, INK, Look, PALE_INK, SMALL, TEXT};
use crate::run::Run;
use crate::summary::Summary;
use crate::words::span;

const HEIGHT: f64 = 500.;
/// For the names of the curves.
const LEGEND: f64 = 210.;
const LEGEND_LINE: f64 = 34.;
/// 99.999 of a hundred: nobody has more operations than that says something about.
const NINES_MAX: f64 = 5.;

struct Curve<'r> {
    name: String,
    look: Look,
    width: f64,
    summary: &'r Summary,
}

/// A curve for each node of a run, and one for all.
pub(super) fn of_nodes(run: &Run) -> String {
    let nodes = run.nodes.iter().enumerate().map(|(number, node)| Curve {
        name: node.name.clone(),
        look: Look::of(number),
        width: 1.5,
        summary: &node.summary,
    });
    let all = Curve {
        name: "all nodes".into(),
        look: Look {
            color: INK,
            dash: Some((1.5, 2.5)),
        },
        width: 2.,
        summary: &run.total,
    };
    let mut curves: Vec<Curve<'_>> = nodes.collect();
    if curves.len() > 1 {
        curves.push(all);
    }
    draw(
        &curves,
        "Latency of operations on each node",
        &what_one(run),
    )
}

/// A curve for each run.
pub(super) fn of_runs(runs: &[Run]) -> String {
    let curves = runs.iter().map(|run| Curve {
        name: run.config.policy.to_string(),
        look: Look::of_policy(run.config.policy),
        width: 2.,
        summary: &run.total,
    });
    let curves: Vec<Curve<'_>> = curves.collect();
    let below = runs
        .first()
        .map_or_else(String::new, |run| what(&run.config));
    draw(&curves, "Latency of operations, by policy", &below)
}

fn draw(curves: &[Curve<'_>], title: &str, below: &str) -> String {
    let (left, right) = (MARGIN + 62., WIDTH - MARGIN - LEGEND);
    let legend_lines = curves.len() as f64 * LEGEND_LINE;
    let bottom = (HEIGHT - 52.).max(HEAD + legend_lines + 20.);
    let top = HEAD + 8.;
    let mut canvas = Canvas::new(title, WIDTH, bottom + 52.);
    head(&mut canvas, title, below);
    let ends = || curves.iter().flat_map(|curve| &curve.summary.latency_us);
    let least = ends().map(|&(us, _)| us).min().unwrap_or(10);
    let most = ends().map(|&(us, _)| us).max().unwrap_or(1_000);
    let time = Axis::logarithmic((least as f64, most as f64), (left, right));
    let counts = curves.iter().map(|curve| total(curve.summary));
    let nines = (counts.max().unwrap_or(0).max(10) as f64).log10().ceil();
    let nines = nines.clamp(2., NINES_MAX);
    let part = Axis::linear((0., nines), (bottom, top));
    for us in time.marks(9) {
        canvas.line((time.at(us), top), (time.at(us), bottom), GRID, 1.);
    }
    for (of_hundred, at) in [
        ("0 %", 0.),
        ("50 %", 0.5),
        ("90 %", 0.9),
        ("99 %", 0.99),
        ("99.9 %", 0.999),
        ("99.99 %", 0.9999),
        ("99.999 %", 0.99999),
    ] {
        let at = nines_of(at);
        if at < nines + 0.01 {
            across(&mut canvas, (left, right), part.at(at), of_hundred);
        }
    }
    for curve in curves {
        let line = staircase(curve.summary, &time, &part);
        if let Some(&slowest) = line.last() {
            canvas.dot(slowest, 3.5, curve.look.color, 1.);
        }
        match curve.look.dash {
            None => canvas.path(line, curve.look.color, curve.width),
            Some(dash) => canvas.dashes(&line, curve.look.color, curve.width, dash),
        }
    }
    for (number, curve) in curves.iter().enumerate() {
        legend(
            &mut canvas,
            curve,
            (right + 24., top + 12. + number as f64 * LEGEND_LINE),
        );
    }
    let marks = time.marks(9).into_iter().map(|us| (us, power(us)));
    let marks: Vec<(f64, String)> = marks.collect();
    let axis =
        "latency; the height is the part of all operations that took no longer, a dot the slowest";
    horizontal(&mut canvas, &time, (left, right), bottom, &marks, axis);
    canvas.finish()
}

fn legend(canvas: &mut Canvas, curve: &Curve<'_>, (x, y): Point) {
    let swatch = [(x, y), (x + 26., y)];
    match curve.look.dash {
        None => canvas.path(swatch.to_vec(), curve.look.color, curve.width + 0.5),
        Some(dash) => canvas.dashes(&swatch, curve.look.color, curve.width + 0.5, dash),
    }
    let name = fitting(&curve.name, TEXT, LEGEND - 60.);
    canvas.text((x + 34., y), Text::new(name, INK));
    let summary = curve.summary;
    let about = if summary.latency_us.is_empty() {
        "no operation ended".to_owned()
    } else {
        format!("p50 {}, p99 {}", span(summary.p50_us), span(summary.p99_us))
    };
    canvas.text((x + 34., y + 14.), Text::new(about, PALE_INK).size(SMALL));
}

fn total(summary: &Summary) -> u64 {
    summary.latency_us.last().map_or(0, |&(_, count)| count)
}

/// How many nines a part has: 0.9 one, 0.99 two.
fn nines_of(part: f64) -> f64 {
    -(1. - part).max(1e-9).log10()
}

/// The slowest operation of a thousand stands at 99.9 %: there is none that takes no longer than nobody.
fn staircase(summary: &Summary, time: &Axis, part: &Axis) -> Vec<Point> {
    let total = total(summary) as f64;
    let mut line: Vec<Point> = Vec::new();
    let mut y = part.at(0.);
    for &(us, count) in &summary.latency_us {
        let x = time.at(us as f64);
        line.push((x, y));
        let reached = (count as f64 / total).min(1. - 1. / total);
        y = part.at(nines_of(reached));
        line.push((x, y));
    }
    line
}

/// `10 us`, `1 ms`, `100 s`.
fn power(us: f64) -> String {
    if us < 1e3 {
        format!("{us:.0} us")
    } else if us < 1e6 {
        format!("{:.0} ms", us / 1e3)
    } else {
        format!("{:.0} s", us / 1e6)
    }
}
