//! What happened in a run: what was done to the cluster, and what the coordinator saw of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Its links were cut.
    Cut,
    /// What had been done to its links was taken back.
    Heal,
    /// Its process was killed.
    Kill,
    /// It was started again, or told to end and started again.
    Restart,
    /// Its process was stopped.
    Pause,
    /// It goes on.
    Resume,
    /// What is sent over its links arrives later.
    Slow,
    /// Its storage answers nothing.
    StallStore,
    /// Its storage answers later.
    SlowStore,
    /// Its storage fails.
    FailStore,
    /// Its storage works again.
    ReleaseStore,
    /// Seen: its session is over.
    LostSession,
    /// Seen: its process ended, or does not answer.
    Gone,
    /// Seen: it takes part again.
    Back,
    /// Seen: tasks wait for each other.
    Deadlock,
    /// Anything else.
    Note,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Cut,
        Self::Heal,
        Self::Kill,
        Self::Restart,
        Self::Pause,
        Self::Resume,
        Self::Slow,
        Self::StallStore,
        Self::SlowStore,
        Self::FailStore,
        Self::ReleaseStore,
        Self::LostSession,
        Self::Gone,
        Self::Back,
        Self::Deadlock,
        Self::Note,
    ];

    /// The name in documents, reports and plots.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Heal => "heal",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Slow => "slow",
            Self::StallStore => "stall-store",
            Self::SlowStore => "slow-store",
            Self::FailStore => "fail-store",
            Self::ReleaseStore => "release-store",
            Self::LostSession => "lost-session",
            Self::Gone => "gone",
            Self::Back => "back",
            Self::Deadlock => "deadlock",
            Self::Note => "note",
        }
    }

    /// Whether it was done to the cluster, and not only seen.
    #[must_use]
    pub const fn is_done(self) -> bool {
        !matches!(
            self,
            Self::LostSession | Self::Gone | Self::Back | Self::Deadlock | Self::Note
        )
    }

    /// What it takes back.
    #[must_use]
    pub const fn undoes(self) -> &'static [Self] {
        match self {
            Self::Heal => &[Self::Cut, Self::Slow],
            Self::Restart => &[Self::Kill],
            Self::Resume => &[Self::Pause],
            Self::ReleaseStore => &[Self::StallStore, Self::SlowStore, Self::FailStore],
            _ => &[],
        }
    }

    /// Whether it does harm. A restart does where nothing was killed before.
    #[must_use]
    pub const fn hurts(self) -> bool {
        self.is_done() && !matches!(self, Self::Heal | Self::Resume | Self::ReleaseStore)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds from the run's start.
    pub at_us: u64,
    /// What kind it is.
    pub kind: EventKind,
    /// The nodes at which it was aimed, or that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The numbers of the servers at which it was aimed: of the one that led, where the leader was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<u64>,
    /// It in words, without those that it is about.
    pub text: String,
}

impl Event {
    /// Of one node.
    #[must_use]
    pub fn of_node(
        at_us: u64,
        kind: EventKind,
        node: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            at_us,
            kind,
            nodes: vec![node.into()],
            servers: Vec::new(),
            text: text.into(),
        }
    }

    /// Of one server.
    #[must_use]
    pub fn of_server(at_us: u64, kind: EventKind, server: u64, text: impl Into<String>) -> Self {
        Self {
            at_us,
            kind,
            nodes: Vec::new(),
            servers: vec![server],
            text: text.into(),
        }
    }

    /// Of nobody in particular.
    #[must_use]
    pub fn of_all(at_us: u64, kind: EventKind, text: impl Into<String>) -> Self {
        Self {
            at_us,
            kind,
            nodes: Vec::new(),
            servers: Vec::new(),
            text: text.into(),
        }
    }

    /// Those whom it is about, at most two of a kind by their names: `node2, server 1`, `3 nodes`.
    #[must_use]
    pub fn whom(&self) -> String {
        const NAMED_MAX: usize = 2;
        let mut named: Vec<String> = match self.nodes.len() {
            0..=NAMED_MAX => self.nodes.clone(),
            many => vec![format!("{many} nodes")],
        };
        match self.servers.len() {
            0..=NAMED_MAX => {
                named.extend(self.servers.iter().map(|server| format!("server {server}")));
            }
            many => named.push(format!("{many} servers")),
        }
        named.join(", ")
    }
}
