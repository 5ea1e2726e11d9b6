//! What stands in the files of a directory.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::run::{FORMAT, Run};
use crate::scenario::Scenario;
use crate::{plot, report};

pub(super) const RUN: &str = "run.json";
pub(super) const COMPARISON: &str = "compare.json";
const REPORT: &str = "report.txt";
const CONFIG: &str = "config.toml";
const SCENARIO: &str = "scenario.toml";

/// What [`COMPARISON`] says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) format: u32,
    /// The directories of the runs, in their order.
    pub(super) runs: Vec<String>,
}

pub(super) fn of_run(run: &Run, scenario: Option<&Scenario>) -> Vec<(&'static str, String)> {
    let mut files = vec![
        (RUN, json(run)),
        (REPORT, report::run(run)),
        (CONFIG, config(&run.config, scenario)),
    ];
    let text = scenario.map(|scenario| scenario.text.clone());
    files.extend(
        text.filter(|text| !text.is_empty())
            .map(|text| (SCENARIO, text)),
    );
    files.extend(plot::run(run).map(|picture| (picture.name, picture.svg)));
    files
}

pub(super) fn of_comparison(runs: &[Run], parts: &[String]) -> Vec<(&'static str, String)> {
    let document = Parts {
        format: FORMAT,
        runs: parts.to_vec(),
    };
    let mut files = vec![
        (COMPARISON, json(&document)),
        (REPORT, report::comparison(runs)),
    ];
    files.extend(plot::comparison(runs).map(|picture| (picture.name, picture.svg)));
    files
}

/// A scenario that is this run again; what is not in it stands in comments.
fn config(config: &Config, scenario: Option<&Scenario>) -> String {
    let actions = scenario.map_or(&[][..], |scenario| &scenario.actions);
    let mut text = format!(
        "# A scenario that is this run again, on a cluster of {} servers\n# with the nodes {}. Version {}.\n",
        config.servers,
        config.nodes.join(", "),
        config.version,
    );
    if let Some(name) = &config.scenario {
        text += &format!(
            "# It is the scenario {name}, with all that it left open; {SCENARIO} is that as it was written.\n"
        );
    }
    text + "\n" + &Scenario::of_run(config, actions).to_toml()
}

/// In one line: an interval on each would be a book.
fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("numbers, texts and lists are JSON") + "\n"
}
