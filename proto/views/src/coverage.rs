//! How much of the cluster a view shows.

use glockwork_proto::{WireError, convert, coverage, wire};
use serde::Serialize;

/// What a view shows, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// How many slots were looked at, of [`SLOTS`]. The others recover, are on their way to another server,
    /// have no master, or have one that was not reached.
    pub slots: usize,
    /// The servers that were asked and did not answer.
    pub unreachable: Vec<Unreachable>,
}

/// How many slots a cluster has.
pub const SLOTS: usize = dlm_core::slot::SLOTS as usize;

/// A server that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreachable {
    /// Which.
    pub server: u64,
    /// Where it was asked; `null` where no process of it is known.
    pub endpoint: Option<String>,
    /// Why there is no answer.
    pub why: String,
}

impl Coverage {
    /// What the server says. One that does not say is older than this, and alone: it looks at all there is.
    ///
    /// # Errors
    /// [`WireError`] where it names what there is not.
    pub fn read(wire: Option<wire::Coverage>) -> Result<Self, WireError> {
        match wire {
            None => Ok(Self {
                slots: SLOTS,
                unreachable: Vec::new(),
            }),
            wire => Ok(convert::coverage(wire)?.into()),
        }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.slots == SLOTS && self.unreachable.is_empty()
    }

    /// What is missing, a line for each thing; for people.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let unreachable = self.unreachable.iter().map(|one| {
            let server = one.server;
            match &one.endpoint {
                Some(endpoint) => format!("server {server} at {endpoint}: {}", one.why),
                None => format!("server {server}: {}", one.why),
            }
        });
        let mut lines: Vec<String> = unreachable.collect();
        let missing = SLOTS.saturating_sub(self.slots);
        if missing > 0 {
            lines.push(format!(
                "{missing} of {SLOTS} slots were not seen: they recover, move, or belong to a server that was \
                 not reached"
            ));
        }
        lines
    }
}

impl From<coverage::Coverage> for Coverage {
    fn from(coverage: coverage::Coverage) -> Self {
        let unreachable = coverage.unreachable.into_iter();
        let unreachable = unreachable.map(|(server, one)| Unreachable {
            server: server.0,
            endpoint: one.endpoint,
            why: one.why,
        });
        Self {
            slots: coverage.slots.len(),
            unreachable: unreachable.collect(),
        }
    }
}
