//! From numbers to pixels, and where the axis has marks.

/// A linear or logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Axis {
    /// Numbers between `from` and `to` are put between the pixels `start` and `end`.
    pub(super) fn linear((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        Self {
            from,
            to: if to > from { to } else { from + 1. },
            start,
            end,
            logarithmic: false,
        }
    }

    /// From the power of ten below `from` to the one above `to`.
    pub(super) fn logarithmic((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        let low = from.max(1.).log10().floor();
        let high = to.max(1.).log10().ceil().max(low + 1.);
        Self {
            from: low,
            to: high,
            start,
            end,
            logarithmic: true,
        }
    }

    /// The pixel of a number; one that is beyond an end is there.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.max(f64::MIN_POSITIVE).log10()
        } else {
            value
        };
        let part = (value - self.from) / (self.to - self.from);
        self.start + part.clamp(0., 1.) * (self.end - self.start)
    }

    /// At most about so many numbers for marks, all of them round.
    pub(super) fn marks(&self, most: usize) -> Vec<f64> {
        if self.logarithmic {
            let each = ((self.to - self.from) / most as f64).ceil().max(1.);
            return steps(self.from, self.to, each)
                .map(|power| 10_f64.powf(power))
                .collect();
        }
        steps(
            self.from,
            self.to,
            round_step((self.to - self.from) / most as f64),
        )
        .collect()
    }
}

fn steps(from: f64, to: f64, each: f64) -> impl Iterator<Item = f64> {
    let first = (from / each).ceil() as i64;
    let last = (to / each + 1e-9).floor() as i64;
    (first..=last).map(move |number| number as f64 * each)
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let step = [1., 2., 5.]
        .into_iter()
        .find(|&step| step * power >= least * 0.999);
    step.unwrap_or(10.) * power
}

/// The next round number, for the end of an axis that begins at 0.
pub(super) fn round_up(value: f64) -> f64 {
    let step = round_step(value / 8.);
    (value / step - 1e-9).ceil().max(1.) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        let axis = Axis::linear((0., 30.), (0., 300.));
        assert_eq!(axis.marks(10), [0., 5., 10., 15., 20., 25., 30.]);
        assert_eq!((axis.at(15.), axis.at(-3.), axis.at(99.)), (150., 0., 300.));
        let latency = Axis::logarithmic((42., 61_311.), (0., 400.));
        assert_eq!(latency.marks(9), [10., 100., 1_000., 10_000., 100_000.]);
        assert!((latency.at(1_000.) - 200.).abs() < 1e-9);
        for (value, end) in [(774., 800.), (1_000., 1_000.), (1_001., 1_200.), (3., 3.)] {
            assert!(
                (round_up(value) - end).abs() <= end * 1e-6,
                "{value}: {}",
                round_up(value)
            );
        }
    }
}
