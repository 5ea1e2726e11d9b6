//! How much of a cluster a view shows.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::slot::SLOTS;
use dlm_core::{ServerId, SlotId};

/// What was looked at, and who could not be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The slots that were looked at. The others recover, are on their way to another server, have no master,
    /// or have one that was not reached.
    pub slots: BTreeSet<SlotId>,
    /// The servers that did not answer.
    pub unreachable: BTreeMap<ServerId, Unreachable>,
}

/// A server that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Where it was asked; `None` where no process of it is known.
    pub endpoint: Option<String>,
    /// Why there is no answer, in words.
    pub why: String,
}

impl Coverage {
    /// Of one server that looked at these.
    #[must_use]
    pub fn of(slots: impl IntoIterator<Item = SlotId>) -> Self {
        Self {
            slots: slots.into_iter().collect(),
            unreachable: BTreeMap::new(),
        }
    }

    /// Adds another server's.
    pub fn merge(&mut self, other: Self) {
        self.slots.extend(other.slots);
        self.unreachable.extend(other.unreachable);
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.slots.len() == usize::from(SLOTS) && self.unreachable.is_empty()
    }
}
