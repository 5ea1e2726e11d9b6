//! What a fence agent is asked, and what it answers, as plain values.

use dlm_core::SessionId;

use crate::name::Name;

/// The most containers that an answer names.
pub const FENCE_CONTAINERS_MAX: usize = 64;

/// A dead session that is to write nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceOrder {
    /// Its number.
    pub session: SessionId,
    /// What it is called: the label of its node's containers.
    pub name: Name,
    /// Whose session it is, where that is known.
    pub cluster: Option<u128>,
    /// It joined at least so long ago, in microseconds.
    pub age_us: u64,
    /// How much longer it may hold a lease by its own clock, in microseconds, where that is known.
    pub lease_left_us: Option<u64>,
}

/// That it surely writes nothing more, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceAnswer {
    /// Why.
    pub outcome: FenceOutcome,
    /// The containers that are called so.
    pub containers: Vec<String>,
}

/// Why a session surely writes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FenceOutcome {
    /// Its containers ran, and were killed.
    Killed,
    /// Its containers do not run.
    Down,
    /// It was fenced before, or its containers were started since it joined.
    Earlier,
    /// It has no container, and what was left of its lease is over.
    Lease,
}
