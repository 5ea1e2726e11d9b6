//! Plots, as SVG: of one run, a row or a curve for each node; of several, one for each policy.

mod axis;
mod bars;
mod canvas;
mod frame;
mod lane;
mod latency;
mod over_time;
mod rows;
mod style;
#[cfg(test)]
mod tests;

use crate::run::Run;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What its file is called.
    pub name: &'static str,
    /// It as an SVG document.
    pub svg: String,
}

impl Picture {
    /// The names of the files, the same for one run and for several.
    pub const NAMES: [&'static str; 3] = ["ops.svg", "latency.svg", "costs.svg"];
}

/// A run's: operations over time, latencies, and what each node did.
#[must_use]
pub fn run(run: &Run) -> [Picture; 3] {
    named([
        over_time::of_nodes(run),
        latency::of_nodes(run),
        bars::of_nodes(run),
    ])
}

/// Those of runs that differ in their policy, side by side.
#[must_use]
pub fn comparison(runs: &[Run]) -> [Picture; 3] {
    named([
        over_time::of_runs(runs),
        latency::of_runs(runs),
        bars::of_runs(runs),
    ])
}

fn named(svgs: [String; 3]) -> [Picture; 3] {
    let mut names = Picture::NAMES.into_iter();
    svgs.map(|svg| Picture {
        name: names.next().unwrap_or_default(),
        svg,
    })
}
