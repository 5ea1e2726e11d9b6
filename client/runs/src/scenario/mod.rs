//! Scenarios: a workload, what is to be done to the cluster while it runs, and what is expected of it; as TOML.
//!
//! ```toml
//! [workload]                 # all of it may be left out, and a command line counts more
//! policy = "ordered"         # block, nofault, try-cycle, ordered
//! group = "cross"            # cross, same-file, counters, mixed
//! seconds = 30
//! tasks = 2
//! files = 6
//! file-size = "1m"           # of which each task has its part; left out: two I/Os for each task
//! io = "32k"
//! reads-percent = 50
//! seed = 1
//!
//! [expect]
//! verdict = "clean"          # or "deadlock": then a run without one is not clean
//! stall = "2s"               # the longest that a node to which nothing is done may go without an operation
//! recovery = "10s"           # the longest that a node may take after what was done to it is undone
//!
//! [[at]]
//! time = "5s"
//! do = "cut"
//! target = "node2"
//! one-way = "from"           # only what goes from it is lost; "to": only what goes to it
//! for = "8s"                 # then it is healed
//! ```
//!
//! | do | to | is undone by | also |
//! |---|---|---|---|
//! | `cut` | anybody: no link of it to a server carries anything | `heal` | `one-way`, `for` |
//! | `slow` | anybody: what its links to servers carry arrives later | `heal` | `delay`, `one-way`, `for` |
//! | `kill` | anybody | `restart` | `for` |
//! | `pause` | anybody: its process is stopped | `resume` | `for` |
//! | `stall-store`, `fail-store` | nodes: no read or write of the volume ends; each fails | `release-store` | `for` |
//! | `slow-store` | nodes: each read and write takes longer | `release-store` | `delay`, `for` |
//! | `restart` | anybody: started again, and told to end before where it runs | | |
//! | `restart-rolling` | `nodes`, `servers`: told to end and started again one after the other, each when all is well | | |
//!
//! A target is a node's name, `server` and a number, `leader`, `a-follower`, `nodes`, `servers` or `everything`.
//! Whoever leads is found out when it is done, and is who is meant where it is undone.

mod check;
mod error;
mod file;
mod mistakes;
mod order;
mod target;
#[cfg(test)]
mod tests;
mod units;
mod verb;
mod write;

use std::path::Path;

pub use error::{Mistake, ScenarioError};
pub use target::Target;
pub use verb::{Direction, Verb};

use serde::{Deserialize, Serialize};

use crate::limits::SCENARIO_BYTES_MAX;
use crate::settings::Settings;
use crate::verdict::Bounds;

/// What is expected of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// That nothing is wrong.
    #[default]
    Clean,
    /// That it ends in a deadlock, and that nothing else is wrong.
    Deadlock,
}

/// A checked scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name: the file's, without its directory and ending.
    pub name: String,
    /// What it says of the workload.
    pub settings: Settings,
    /// What is expected.
    pub expect: Expect,
    /// What the verdict is made with.
    pub bounds: Bounds,
    /// What is to be done, in the order of time, those included that undo others.
    pub actions: Vec<Action>,
    /// The file, as it was written; empty where there is none.
    pub text: String,
    /// Where it was read, as messages show it.
    pub(crate) shown: String,
}

/// Something that is to be done at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When, in microseconds from the run's start.
    pub at_us: u64,
    /// What.
    pub verb: Verb,
    /// To whom.
    pub target: Target,
    /// The actions that it undoes: their numbers in the list. Those who were chosen then are who is meant.
    pub undoes: Vec<usize>,
    /// The line of the file on which it is; 0 where there is none.
    pub line: usize,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ScenarioError`]: it cannot be read, or all that is wrong with it, with lines.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let shown = path.display().to_string();
        let unread = |text: String| ScenarioError::one(&shown, None, text);
        let cannot = |error: std::io::Error| {
            unread(format!(
                "cannot read the scenario: {error}; give the path of a TOML file"
            ))
        };
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if metadata.len() > SCENARIO_BYTES_MAX {
            let text =
                format!("a scenario has at most {SCENARIO_BYTES_MAX} bytes; make it shorter");
            return Err(unread(text));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        Self::parse(&shown, &text)
    }

    /// Reads the text of a file that messages call `shown`.
    ///
    /// # Errors
    /// [`ScenarioError`]: all that is wrong with it, with lines.
    pub fn parse(shown: &str, text: &str) -> Result<Self, ScenarioError> {
        let mut mistakes = mistakes::Mistakes::new(shown, text);
        let Some(file) = file::parse(&mut mistakes) else {
            return Err(mistakes.into_error());
        };
        let scenario = check::scenario(&file, &mut mistakes);
        if let Some(seconds) = scenario.settings.seconds {
            mistakes.add_all(scenario.beyond(seconds));
        }
        mistakes.into_result(scenario)
    }

    /// Whether all of it happens in a run of that length. Where the file says how long a run is, it has been looked at
    /// for that.
    ///
    /// # Errors
    /// [`ScenarioError`]: the actions that are too late.
    pub fn check_length(&self, seconds: u64) -> Result<(), ScenarioError> {
        ScenarioError::of(&self.shown, self.beyond(seconds))
    }

    /// Whether all whom it names are there.
    ///
    /// # Errors
    /// [`ScenarioError`]: the actions with unknown targets, and who is there.
    pub fn check_names(&self, nodes: &[String], servers: &[u64]) -> Result<(), ScenarioError> {
        let unknown = |action: &&Action| match &action.target {
            Target::Node(name) => !nodes.contains(name),
            Target::Server(number) => !servers.contains(number),
            Target::Follower => servers.len() < 2,
            _ => false,
        };
        let servers = servers
            .iter()
            .map(|number| Target::Server(*number).to_string());
        let there: Vec<String> = nodes.iter().cloned().chain(servers.clone()).collect();
        let there = there.join(", ");
        let mistakes = self.actions.iter().filter(unknown).map(|action| {
            let target = &action.target;
            Mistake::at(
                action.line,
                format!("there is no {target}; there are {there}"),
            )
        });
        ScenarioError::of(&self.shown, mistakes.collect())
    }

    fn beyond(&self, seconds: u64) -> Vec<Mistake> {
        let late = |action: &&Action| action.at_us >= seconds.saturating_mul(1_000_000);
        let mistakes = self.actions.iter().filter(late).map(|action| {
            let text = format!(
                "{} {} at {} is not before the end of a run of {seconds} s; give it an earlier time or a shorter `for`, \
                 or the run more seconds",
                action.verb,
                action.target,
                units::shown(action.at_us)
            );
            Mistake::at(action.line, text)
        });
        mistakes.collect()
    }
}
