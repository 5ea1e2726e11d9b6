//! Colours and sizes. The colours are those of Okabe and Ito, which people tell apart who see fewer of them, without
//! the yellow, which is nothing on white.

use glockwork_proto::node::Policy;
use plotters::style::RGBColor;

use crate::event::EventKind;

/// Behind everything: a picture is legible on a dark page as well.
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// What is written first.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
/// What is written beside it.
pub(super) const PALE_INK: RGBColor = RGBColor(102, 102, 102);
/// Lines to read off numbers.
pub(super) const GRID: RGBColor = RGBColor(224, 224, 224);
/// Axes.
pub(super) const AXIS: RGBColor = RGBColor(150, 150, 150);
/// Where there is nothing to show.
pub(super) const NOTHING: RGBColor = RGBColor(238, 238, 238);

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 135, 100);
const PURPLE: RGBColor = RGBColor(180, 90, 140);
const ORANGE: RGBColor = RGBColor(215, 145, 0);
const SKY: RGBColor = RGBColor(60, 160, 215);

/// What is done to a member.
pub(super) const HARM: RGBColor = VERMILION;

/// Of the members of a row, one after the other; those after the fifth begin again, and are dashed.
pub(super) const SERIES: [RGBColor; 5] = [BLUE, GREEN, ORANGE, PURPLE, SKY];

/// How a line of a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    /// Lengths of dashes and of what is between them; `None`: a solid line.
    pub(super) dash: Option<(f64, f64)>,
}

impl Look {
    /// Of the series with this number.
    pub(super) const fn of(number: usize) -> Self {
        const DASHES: [Option<(f64, f64)>; 4] =
            [None, Some((7., 4.)), Some((2., 3.)), Some((14., 4.))];
        Self {
            color: SERIES[number % SERIES.len()],
            dash: DASHES[(number / SERIES.len()) % DASHES.len()],
        }
    }

    /// Of a policy: the same in all pictures.
    pub(super) const fn of_policy(policy: Policy) -> Self {
        let color = match policy {
            Policy::Block => INK,
            Policy::Nofault => ORANGE,
            Policy::TryCycle => PURPLE,
            Policy::Ordered => BLUE,
        };
        Self { color, dash: None }
    }
}

/// Of what is written of an event.
pub(super) const fn of_event(kind: EventKind) -> RGBColor {
    if kind.hurts() && !matches!(kind, EventKind::Restart) {
        VERMILION
    } else if kind.is_done() || matches!(kind, EventKind::Back) {
        GREEN
    } else {
        INK
    }
}

/// Heights of text, in pixels.
pub(super) const TITLE: f64 = 16.;
pub(super) const TEXT: f64 = 12.;
pub(super) const SMALL: f64 = 10.5;

/// The most that so many characters of that height take: wide fonts take less.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.62
}
