//! What a session has counted of its glocks.

use dlm_core::{LockspaceId, SessionId};

/// The glocks of a session in one lockspace, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Which lockspace.
    pub lockspace: LockspaceId,
    /// The numbers.
    pub counters: CacheCounters,
}

/// What has been counted since the session began to cache there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Glocks in the cache now.
    pub glocks: u64,
    /// How often a task asked for one.
    pub requests: u64,
    /// How often it got it at once from what was cached, without a message.
    pub hits: u64,
    /// Messages that gave something up.
    pub demotions: u64,
    /// How often the node was told that another one wants what it has.
    pub callbacks: u64,
}

/// The same with names, for whoever looks at the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCache {
    /// Whose it is.
    pub session: SessionId,
    /// What people call that session.
    pub session_name: String,
    /// The lockspace's name.
    pub lockspace: String,
    /// The numbers.
    pub counters: CacheCounters,
}

/// The caches of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// By session and lockspace.
    pub caches: Vec<SessionCache>,
    /// Sessions that live and did not answer in time, by number, with their names.
    pub silent: Vec<(SessionId, String)>,
}
