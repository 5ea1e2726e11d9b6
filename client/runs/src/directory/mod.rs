//! Where runs are kept: a directory for each.
//!
//! ```text
//! runs/20261201-053000-ordered-cross-seed1/
//!   run.json       the document
//!   report.txt     what it says to people
//!   config.toml    a scenario that is this run again, with everything that was left open filled in
//!   scenario.toml  the scenario as it was written, where there was one
//!   ops.svg latency.svg costs.svg
//! runs/20261201-053000-compare-cross-seed1/
//!   compare.json   which runs, in their order
//!   report.txt ops.svg latency.svg costs.svg
//!   block/ nofault/ try-cycle/ ordered/    each as above
//! ```
//!
//! It is written under another name, which begins with a dot, and gets its own when all of it is there: whoever
//! interrupts that leaves no half document behind. A name that exists gets a number.

mod error;
mod files;
mod load;
mod names;
#[cfg(test)]
mod tests;
mod unfinished;

use std::path::{Path, PathBuf};

pub use error::DirectoryError;
pub use load::load;

use crate::run::Run;
use crate::scenario::Scenario;
use unfinished::Unfinished;

/// Writes a run into a new directory in `parent`, which is made where it is not there, and says which. `scenario` is
/// what drove the run.
///
/// # Errors
/// [`DirectoryError`]: something cannot be written. There is no new directory then.
pub fn save(
    parent: &Path,
    run: &Run,
    scenario: Option<&Scenario>,
) -> Result<PathBuf, DirectoryError> {
    let unfinished = Unfinished::begin(parent)?;
    for (name, text) in files::of_run(run, scenario) {
        unfinished.write(Path::new(name), &text)?;
    }
    unfinished.finish(&names::of_run(run))
}

/// Writes runs that differ in their policy into one new directory in `parent`, each in its own, with a report of all
/// of them, and says which. `scenario` is what drove each of them.
///
/// # Errors
/// [`DirectoryError`]: there are none, or something cannot be written. There is no new directory then.
pub fn save_comparison(
    parent: &Path,
    runs: &[Run],
    scenario: Option<&Scenario>,
) -> Result<PathBuf, DirectoryError> {
    let Some(first) = runs.first() else {
        return Err(DirectoryError::Nothing);
    };
    let unfinished = Unfinished::begin(parent)?;
    let parts = names::of_parts(runs);
    for (run, part) in runs.iter().zip(&parts) {
        for (name, text) in files::of_run(run, scenario) {
            unfinished.write(&Path::new(part).join(name), &text)?;
        }
    }
    for (name, text) in files::of_comparison(runs, &parts) {
        unfinished.write(Path::new(name), &text)?;
    }
    unfinished.finish(&names::of_comparison(first))
}
