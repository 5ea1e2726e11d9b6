//! How servers introduce themselves to each other before they have a cluster in common.

use dlm_core::ServerId;

/// Who a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its number.
    pub server: ServerId,
    /// The random number that its storage was given when it was made.
    pub identity: u128,
    /// The cluster that it belongs to, where it belongs to one.
    pub cluster: Option<u128>,
}

/// What a server answers that another one introduced itself to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// Who it is itself.
    pub by: Introduction,
    /// Whether its cluster has a member of the number that the other one named.
    pub knows_you: bool,
}
