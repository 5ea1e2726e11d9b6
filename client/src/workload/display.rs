//! What is said while a workload runs: what happens as lines, and on a terminal one line that changes.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::shared::Shared;

/// How often the line changes.
const TICK: Duration = Duration::from_millis(250);
/// Nodes that are shown one by one: more do not fit a line.
const NODES_SHOWN_MAX: usize = 6;
/// Clears what is left of a line.
const CLEAR: &str = "\r\x1b[K";

/// Where it is said: standard error. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Display {
    terminal: bool,
    /// Whether the changing line is there.
    shown: Arc<Mutex<bool>>,
}

impl Display {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            shown: Arc::default(),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        self.write(&format!("{line}\n"), false);
    }

    /// The line that changes; nothing where there is no terminal.
    pub(super) fn show(&self, line: &str) {
        if self.terminal {
            self.write(line, true);
        }
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        if self.terminal {
            self.write("", false);
        }
    }

    fn write(&self, text: &str, changes: bool) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if *shown || changes { CLEAR } else { "" };
        *shown = changes;
        let mut to = std::io::stderr().lock();
        // Nobody who can be told is there where standard error is gone.
        let _ = write!(to, "{clear}{text}").and_then(|()| to.flush());
    }

    /// Shows how the run gets on, until it is dropped.
    pub(super) async fn follow(shared: Arc<Shared>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let line = line(&shared);
            shared.display.show(&line);
        }
    }
}

fn line(shared: &Shared) -> String {
    let config = &shared.config;
    let elapsed = shared.elapsed().as_secs_f64();
    let state = shared.state();
    let ops: Vec<u64> = state
        .nodes
        .iter()
        .map(glockwork_runs::NodeSeen::ops)
        .collect();
    let each: Vec<String> = config
        .nodes
        .iter()
        .zip(&ops)
        .take(NODES_SHOWN_MAX)
        .map(|(name, ops)| format!("{name} {ops}"))
        .collect();
    let more = if ops.len() > NODES_SHOWN_MAX {
        ", …"
    } else {
        ""
    };
    let all: u64 = ops.iter().sum();
    format!(
        "{} {}: {elapsed:.1} of {} s, {all} operations ({}{more})",
        config.group,
        config.policy,
        config.seconds,
        each.join(", ")
    )
}
