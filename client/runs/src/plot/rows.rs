//! Rows of operations per second under one time axis, with the events above them.

use super::axis::{Axis, round_up};
use super::canvas::{Canvas, Point, Text};
use super::frame::{HEAD, MARGIN, WIDTH, across, fitting, head, horizontal, number, widest};
use super::lane::{LINE, Lane};
use super::style::{AXIS, HARM, INK, Look, NOTHING, PALE_INK, PAPER, SMALL, TEXT, of_event, width};
use crate::event::Event;
use crate::trouble::Trouble;
use crate::words::counted;

/// Pixels for one step of a line, at least.
const STEP: f64 = 2.;
/// Between two rows.
const GAP: f64 = 16.;
const NAME_MAX: f64 = 150.;

/// A row of the picture.
pub(super) struct Row<'r> {
    pub(super) name: String,
    /// Below the name.
    pub(super) about: String,
    pub(super) look: Look,
    pub(super) interval_us: u64,
    pub(super) ops: Vec<Option<u64>>,
    /// What was done to whom the row shows.
    pub(super) troubles: Vec<&'r Trouble>,
    /// The events whose lines go through it.
    pub(super) events: Vec<&'r Event>,
    /// What is written where it did not run.
    pub(super) nothing: String,
}

/// One step of a line: from when to when, and operations per second; none where it did not run.
type Step = (f64, f64, Option<f64>);

/// Rows under one time axis.
pub(super) struct Plot<'r> {
    rows: &'r [Row<'r>],
    events: &'r [Event],
    /// In seconds.
    elapsed: f64,
    /// Left and right of the rows.
    sides: (f64, f64),
    steps: Vec<Vec<Step>>,
    most: f64,
}

impl<'r> Plot<'r> {
    pub(super) fn new(rows: &'r [Row<'r>], events: &'r [Event], elapsed_us: u64) -> Self {
        let elapsed = (elapsed_us as f64 / 1e6).max(0.1);
        let names = rows.iter().map(|row| row.name.as_str());
        let about = rows.iter().map(|row| row.about.as_str());
        let text = widest(names, TEXT).max(widest(about, SMALL)).min(NAME_MAX);
        let sides = (MARGIN + text + 52., WIDTH - MARGIN - 6.);
        let intervals = ((sides.1 - sides.0) / STEP).floor();
        let steps: Vec<Vec<Step>> = rows
            .iter()
            .map(|row| steps(row, elapsed, intervals))
            .collect();
        let values = steps.iter().flatten().filter_map(|step| step.2);
        let most = round_up(values.fold(0., f64::max).max(1.));
        Self {
            rows,
            events,
            elapsed,
            sides,
            steps,
            most,
        }
    }

    pub(super) fn draw(&self, title: &str, below: &str) -> String {
        let time = Axis::linear((0., self.elapsed), self.sides);
        let numbered: Vec<(usize, &Event)> = self.events.iter().enumerate().collect();
        let lane = Lane::of(&numbered, |us| time.at(us as f64 / 1e6), self.sides);
        let row_height = (420. / self.rows.len().max(1) as f64).clamp(44., 130.);
        let top = HEAD + lane.height() + 8.;
        let bottom = top + self.rows.len() as f64 * (row_height + GAP) - GAP;
        let mut canvas = Canvas::new(title, WIDTH, bottom + 52.);
        head(&mut canvas, title, below);
        let place = |number: usize| {
            let upper = top + number as f64 * (row_height + GAP);
            (upper, upper + row_height)
        };
        let places: Vec<(f64, f64)> = (0..self.rows.len()).map(place).collect();
        for (number, row) in self.rows.iter().enumerate() {
            self.back(&mut canvas, row, &self.steps[number], place(number), &time);
        }
        // Under the data: a line hides none of it.
        self.event_lines(&mut canvas, &time, &lane, &places);
        for (number, row) in self.rows.iter().enumerate() {
            self.front(&mut canvas, row, &self.steps[number], place(number), &time);
        }
        labels(&mut canvas, &lane, self.events, self.sides.0);
        let marks = time.marks(12).into_iter().map(|at| (at, number(at)));
        let marks: Vec<(f64, String)> = marks.collect();
        horizontal(
            &mut canvas,
            &time,
            self.sides,
            bottom,
            &marks,
            "seconds from the start",
        );
        canvas.finish()
    }

    /// What is behind a row's data: its name, lines to read off numbers, when it did not run, what was done to it.
    fn back(
        &self,
        canvas: &mut Canvas,
        row: &Row<'_>,
        steps: &[Step],
        (upper, lower): (f64, f64),
        time: &Axis,
    ) {
        let middle = (upper + lower) / 2.;
        let room = self.sides.0 - MARGIN - 50.;
        let name = fitting(&row.name, TEXT, room);
        canvas.text((MARGIN, middle - 8.), Text::new(name, INK).bold());
        let about = fitting(&row.about, SMALL, room);
        canvas.text(
            (MARGIN, middle + 8.),
            Text::new(about, PALE_INK).size(SMALL),
        );
        across(canvas, self.sides, upper, &number(self.most));
        if lower - upper > 60. {
            across(canvas, self.sides, middle, &number(self.most / 2.));
        }
        across(canvas, self.sides, lower, "0");
        for (from, to) in gaps(steps) {
            let (left, right) = (time.at(from), time.at(to));
            canvas.rect((left, upper), (right, lower), NOTHING, 1.);
        }
        for trouble in &row.troubles {
            let to = trouble.to_us.map_or(self.elapsed, |us| us as f64 / 1e6);
            let (left, right) = (time.at(trouble.from_us as f64 / 1e6), time.at(to));
            canvas.rect((left, upper), (right, lower), HARM, 0.13);
        }
    }

    /// From the labels down to the rows, and through each row that has the event.
    fn event_lines(&self, canvas: &mut Canvas, time: &Axis, lane: &Lane, places: &[(f64, f64)]) {
        let top = places.first().map_or(HEAD, |place| place.0);
        for label in &lane.labels {
            let color = of_event(self.events[label.event].kind);
            let from = HEAD + label.line as f64 * LINE + 2.;
            canvas.line((label.x, from), (label.x, top), color, 0.75);
        }
        for (number, (row, &(upper, lower))) in self.rows.iter().zip(places).enumerate() {
            let from = if number == 0 { upper } else { upper - GAP };
            for event in &row.events {
                let x = time.at(event.at_us as f64 / 1e6);
                canvas.line((x, from), (x, lower), of_event(event.kind), 0.75);
            }
        }
    }

    fn front(
        &self,
        canvas: &mut Canvas,
        row: &Row<'_>,
        steps: &[Step],
        (upper, lower): (f64, f64),
        time: &Axis,
    ) {
        let value = Axis::linear((0., self.most), (lower, upper));
        for run in steps.chunk_by(|one, next| one.2.is_some() == next.2.is_some()) {
            let line = staircase(run, time, &value);
            let (Some(first), Some(last)) = (line.first(), line.last()) else {
                continue;
            };
            let mut area = vec![(first.0, lower)];
            area.extend(&line);
            area.push((last.0, lower));
            canvas.area(area, row.look.color, 0.22);
            canvas.path(line, row.look.color, 1.25);
        }
        canvas.line((self.sides.0, lower), (self.sides.1, lower), AXIS, 1.);
        for (from, to) in gaps(steps) {
            let (left, right) = free(row, (time.at(from), time.at(to)), time);
            if width(&row.nothing, SMALL) + 8. <= right - left {
                let text = Text::new(row.nothing.as_str(), PALE_INK);
                let at = ((left + right) / 2., (upper + lower) / 2.);
                canvas.text(at, text.size(SMALL).centered());
            }
        }
    }
}

/// The widest part of a gap through which no event's line goes.
fn free(row: &Row<'_>, (left, right): (f64, f64), time: &Axis) -> (f64, f64) {
    let lines = row
        .events
        .iter()
        .map(|event| time.at(event.at_us as f64 / 1e6));
    let mut edges: Vec<f64> = lines.filter(|&x| left < x && x < right).collect();
    edges.extend([left, right]);
    edges.sort_by(f64::total_cmp);
    let parts = edges.windows(2).map(|pair| (pair[0], pair[1]));
    let widest = parts.max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
    widest.unwrap_or((left, right))
}

fn labels(canvas: &mut Canvas, lane: &Lane, events: &[Event], start: f64) {
    if lane.left_out > 0 {
        let text = format!(
            "and {} without a label",
            counted(lane.left_out as u64, "event")
        );
        let middle = HEAD + (lane.lines as f64 - 0.5) * LINE;
        let end = start + width(&text, SMALL);
        canvas.rect((start - 1., middle - 6.5), (end, middle + 6.5), PAPER, 1.);
        canvas.text((start, middle), Text::new(text, PALE_INK).size(SMALL));
    }
    for label in &lane.labels {
        let color = of_event(events[label.event].kind);
        let middle = HEAD + (label.line as f64 + 0.5) * LINE;
        let wide = width(&label.text, SMALL);
        let (from, to) = if label.left {
            (label.x - wide - 3., label.x - 1.)
        } else {
            (label.x + 1., label.x + wide + 3.)
        };
        canvas.rect((from, middle - 6.5), (to, middle + 6.5), PAPER, 1.);
        let text = Text::new(label.text.as_str(), color).size(SMALL);
        if label.left {
            canvas.text((label.x - 4., middle), text.right());
        } else {
            canvas.text((label.x + 4., middle), text);
        }
    }
}

/// At most so many steps, each the mean of what lies in it.
fn steps(row: &Row<'_>, elapsed: f64, most: f64) -> Vec<Step> {
    let interval = row.interval_us as f64 / 1e6;
    let all = (elapsed / interval).ceil().max(1.);
    let each = (all / most).ceil().max(1.) as usize;
    let count = (all as usize).div_ceil(each);
    let step = |number: usize| {
        let from = number * each;
        let part = row.ops.get(from..(from + each).min(row.ops.len()));
        let ran: Vec<u64> = part.unwrap_or_default().iter().flatten().copied().collect();
        let sum: u64 = ran.iter().sum();
        let rate = (!ran.is_empty()).then(|| sum as f64 / (ran.len() as f64 * interval));
        let to = ((number + 1) * each) as f64 * interval;
        (from as f64 * interval, to.min(elapsed), rate)
    };
    (0..count).map(step).collect()
}

/// From when to when a row did not run.
fn gaps(steps: &[Step]) -> Vec<(f64, f64)> {
    let runs = steps.chunk_by(|one, next| one.2.is_some() == next.2.is_some());
    let gap = |run: &[Step]| match (run.first(), run.last()) {
        (Some(&(from, _, None)), Some(&(_, to, _))) => Some((from, to)),
        _ => None,
    };
    runs.filter_map(gap).collect()
}

fn staircase(steps: &[Step], time: &Axis, value: &Axis) -> Vec<Point> {
    let mut line: Vec<Point> = Vec::new();
    for &(from, to, rate) in steps {
        let Some(rate) = rate else { return Vec::new() };
        let y = value.at(rate);
        line.push((time.at(from), y));
        line.push((time.at(to), y));
    }
    line
}
