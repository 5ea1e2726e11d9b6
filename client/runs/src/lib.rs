//! Runs of a workload on the nodes of a cluster, as plain data: the scenarios that drive them, the documents of what
//! came of them, verdicts, reports for people, plots.
//!
//! Nothing here talks to anybody. A coordinator reads a [`Scenario`], makes a [`Config`] of it, and does what the
//! scenario's actions say at their times; meanwhile it writes down what it sees of each node as a [`NodeSeen`], and
//! [`Event`]s. [`Run::of`] makes the document of that, with recovery times and the [`Verdict`], from which the exit
//! code follows.
//!
//! ```
//! use glockwork_proto::node::Progress;
//! use glockwork_runs::{Config, Event, Life, NodeSeen, Run, Scenario, Seen, Settings, report};
//!
//! let scenario = Scenario::parse("cut.toml", r#"
//!     [workload]
//!     seconds = 30
//!     [[at]]
//!     time = "5s"
//!     do = "cut"
//!     target = "node2"
//!     for = "8s"
//! "#).unwrap();
//! let flags = Settings { seed: Some(7), ..Settings::default() };
//! let nodes = vec!["node1".to_owned(), "node2".to_owned()];
//! let settings = flags.or(&scenario.settings);
//! let mut config = Config::new(&settings, nodes.clone(), 3, "0.1.0", 1_796_103_000).unwrap();
//! config.scenario = Some(scenario.name.clone());
//! (config.expect, config.bounds) = (scenario.expect, scenario.bounds);
//! scenario.check_length(config.seconds).unwrap();
//! scenario.check_names(&nodes, &[1, 2, 3]).unwrap();
//!
//! let mut life = Life::new(0);
//! life.progress(&Progress { first: 0, ops: vec![3, 4], elapsed_us: 200_000 });
//! life.lost(250_000, "its process ended");
//! let mut seen = Seen::new(config);
//! seen.elapsed_us = 30_000_000;
//! seen.nodes = vec![NodeSeen { name: "node2".into(), lives: vec![life] }];
//! for action in &scenario.actions {
//!     let done_us = action.at_us + 1_200;
//!     seen.events.push(Event::of_node(done_us, action.verb.event(), "node2", "as was said"));
//! }
//! let run = Run::of(seen);
//! assert_eq!(run.verdict.exit_code(), 1, "node2 never came back, though it was healed");
//! println!("{}", report::run(&run));
//! ```

mod config;
pub mod directory;
mod event;
pub mod limits;
mod node;
pub mod plot;
mod recovery;
pub mod report;
mod run;
#[cfg(test)]
mod sample;
pub mod scenario;
mod seen;
mod settings;
mod summary;
mod timeline;
mod trouble;
mod verdict;
mod words;

pub use config::Config;
pub use event::{Event, EventKind};
pub use node::{LifeRun, NodeRun};
pub use recovery::Recovery;
pub use run::{Deadlock, FORMAT, Run};
pub use scenario::{Action, Direction, Expect, Scenario, ScenarioError, Target, Verb};
pub use seen::{Life, NodeSeen, Seen};
pub use settings::{Settings, SettingsError};
pub use summary::Summary;
pub use trouble::{Member, Trouble, troubles};
pub use verdict::{Bounds, Fault, FaultKind, Verdict};
