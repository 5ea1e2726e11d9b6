//! How servers introduce themselves to each other before they have a cluster in common.

use std::collections::BTreeMap;

use dlm_core::ServerId;

/// What a server says of itself to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its number.
    pub server: ServerId,
    /// The random number that its storage was given when it was made.
    pub identity: u128,
    /// The cluster that it belongs to, where it belongs to one.
    pub cluster: Option<u128>,
    /// What the server that it speaks to is to its cluster, where it knows.
    pub you: Option<Standing>,
    /// The servers that it wants to found a cluster with, itself included, and the identities of those that
    /// it has heard; none where it does not want to.
    pub founders: Option<BTreeMap<ServerId, Option<u128>>>,
}

/// What a server is to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// No member has its number.
    Stranger,
    /// Its number is a member's that has another storage.
    OtherStorage,
    /// It is a member, with the storage that it has.
    Member,
}
