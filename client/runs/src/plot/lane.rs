//! Where the labels of events go: above the plot, none over another.

use super::style::{SMALL, width};
use crate::event::{Event, EventKind};

/// The height of a line of labels.
pub(super) const LINE: f64 = 15.;
/// The most lines; what does not fit is counted.
const LINES_MAX: usize = 8;
/// Between a label and its line, and the next one.
const GAP: f64 = 4.;

/// A label with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    /// Which event.
    pub(super) event: usize,
    /// What it says.
    pub(super) text: String,
    /// Where its event is.
    pub(super) x: f64,
    /// Which line, from the top.
    pub(super) line: usize,
    /// Whether it is to the left of its event.
    pub(super) left: bool,
}

/// Labels in lines, and how many events have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lane {
    pub(super) labels: Vec<Label>,
    pub(super) lines: usize,
    pub(super) left_out: usize,
}

impl Lane {
    pub(super) fn height(&self) -> f64 {
        self.lines as f64 * LINE
    }

    /// Puts the labels of events in order between two pixels: each right of its event in the first line that has
    /// room, or left of it where the picture ends.
    pub(super) fn of(
        events: &[(usize, &Event)],
        at: impl Fn(u64) -> f64,
        (start, end): (f64, f64),
    ) -> Self {
        let mut lane = Self::default();
        // What is taken of each line, as from and to.
        let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
        for &(number, event) in events {
            let text = label(event);
            let x = at(event.at_us);
            let wide = width(&text, SMALL) + GAP;
            let left = x + wide > end && x - wide > start;
            let (from, to) = if left { (x - wide, x) } else { (x, x + wide) };
            let is_free = |line: &Vec<(f64, f64)>| {
                line.iter()
                    .all(|&(start, end)| to + GAP <= start || from >= end + GAP)
            };
            // Below whatever the event's own line would go through on its way down.
            let crossed =
                |line: &Vec<(f64, f64)>| line.iter().any(|&(start, end)| start < x && x < end);
            let below = taken.iter().rposition(crossed).map_or(0, |line| line + 1);
            let below = if left { 0 } else { below };
            let free = taken[below..].iter().position(is_free);
            let line = free.map_or(taken.len(), |line| below + line);
            if line >= LINES_MAX {
                lane.left_out += 1;
                continue;
            }
            if line == taken.len() {
                taken.push(Vec::new());
            }
            taken[line].push((from, to));
            lane.labels.push(Label {
                event: number,
                text,
                x,
                line,
                left,
            });
        }
        lane.lines = taken.len() + usize::from(lane.left_out > 0);
        lane
    }
}

/// An event in a few words: `cut node2`, `kill 3 servers`.
pub(super) fn label(event: &Event) -> String {
    let whom = event.whom();
    let text = match (event.kind, whom.as_str()) {
        (EventKind::Note, _) => event.text.clone(),
        (EventKind::LostSession, whom) => format!("{whom} lost its session"),
        (EventKind::Gone | EventKind::Back, whom) => format!("{whom} {}", event.kind),
        (kind, "") => kind.name().to_owned(),
        (kind, whom) => format!("{kind} {whom}"),
    };
    shortened(&text)
}

/// At most so many characters, the rest of which is not read in a picture.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 36;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_label_is_over_another(times in prop::collection::vec(0_u64..1000, 0..60)) {
            let mut times = times;
            times.sort_unstable();
            let events: Vec<Event> = times.iter().map(|&at| Event::of_node(at, EventKind::Cut, "node1", "")).collect();
            let numbered: Vec<(usize, &Event)> = events.iter().enumerate().collect();
            let lane = Lane::of(&numbered, |us| us as f64, (0., 1000.));
            prop_assert_eq!(lane.labels.len() + lane.left_out, events.len());
            let spans: Vec<(usize, f64, f64)> = lane.labels.iter().map(|label| {
                let wide = width(&label.text, SMALL);
                if label.left { (label.line, label.x - wide, label.x) } else { (label.line, label.x, label.x + wide) }
            }).collect();
            for (number, one) in spans.iter().enumerate() {
                prop_assert!(one.1 >= 0. && one.2 <= 1000.);
                for other in &spans[..number] {
                    prop_assert!(one.0 != other.0 || one.2 <= other.1 || one.1 >= other.2);
                }
            }
        }
    }
}
