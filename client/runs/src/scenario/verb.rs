//! What is done.

use std::fmt;

use crate::event::EventKind;

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// No link of it to a server carries anything.
    Cut(Direction),
    /// What its links to servers carry arrives later.
    Slow {
        /// Which way.
        direction: Direction,
        /// How much later, in microseconds.
        delay_us: u64,
    },
    /// Its links are as they were.
    Heal,
    /// Its process is killed.
    Kill,
    /// It is started; where it runs it is told to end before.
    Restart,
    /// All of them one after the other are told to end and started, each when the one before is well.
    RestartRolling,
    /// Its process is stopped.
    Pause,
    /// It goes on.
    Resume,
    /// No read or write of its volume ends.
    StallStore,
    /// Each read and write takes longer.
    SlowStore {
        /// How much, in microseconds.
        delay_us: u64,
    },
    /// Each read and write fails.
    FailStore,
    /// Its volume works again.
    ReleaseStore,
}

/// Which way a link is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// What the target sends.
    From,
    /// What is sent to the target.
    To,
}

impl Verb {
    /// The names that a scenario has for them.
    pub(crate) const NAMES: [&'static str; 12] = [
        "cut",
        "slow",
        "heal",
        "kill",
        "restart",
        "restart-rolling",
        "pause",
        "resume",
        "stall-store",
        "slow-store",
        "fail-store",
        "release-store",
    ];

    /// The name in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Slow { .. } => "slow",
            Self::Heal => "heal",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::RestartRolling => "restart-rolling",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::StallStore => "stall-store",
            Self::SlowStore { .. } => "slow-store",
            Self::FailStore => "fail-store",
            Self::ReleaseStore => "release-store",
        }
    }

    /// The event that it is when it is done.
    #[must_use]
    pub const fn event(self) -> EventKind {
        match self {
            Self::Cut(_) => EventKind::Cut,
            Self::Slow { .. } => EventKind::Slow,
            Self::Heal => EventKind::Heal,
            Self::Kill => EventKind::Kill,
            Self::Restart | Self::RestartRolling => EventKind::Restart,
            Self::Pause => EventKind::Pause,
            Self::Resume => EventKind::Resume,
            Self::StallStore => EventKind::StallStore,
            Self::SlowStore { .. } => EventKind::SlowStore,
            Self::FailStore => EventKind::FailStore,
            Self::ReleaseStore => EventKind::ReleaseStore,
        }
    }

    /// What takes it back.
    #[must_use]
    pub const fn undone_by(self) -> Option<Self> {
        match self {
            Self::Cut(_) | Self::Slow { .. } => Some(Self::Heal),
            Self::Kill => Some(Self::Restart),
            Self::Pause => Some(Self::Resume),
            Self::StallStore | Self::SlowStore { .. } | Self::FailStore => Some(Self::ReleaseStore),
            Self::Heal
            | Self::Restart
            | Self::RestartRolling
            | Self::Resume
            | Self::ReleaseStore => None,
        }
    }

    /// What there is to take back, for messages; a restart needs nothing.
    pub(crate) const fn needs(self) -> Option<&'static str> {
        match self {
            Self::Heal => Some("cut or slow"),
            Self::Resume => Some("pause"),
            Self::ReleaseStore => Some("stall-store, slow-store or fail-store"),
            _ => None,
        }
    }

    /// Whether only nodes can be its targets.
    pub(crate) const fn is_of_nodes(self) -> bool {
        matches!(
            self,
            Self::StallStore | Self::SlowStore { .. } | Self::FailStore | Self::ReleaseStore
        )
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Direction {
    /// The name in a scenario; none where it is both.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Both => None,
            Self::From => Some("from"),
            Self::To => Some("to"),
        }
    }
}
