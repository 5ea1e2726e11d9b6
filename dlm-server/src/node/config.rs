//! What a server is given when its process starts, and its limits.

use dlm_core::cluster::{Endpoint, Timing};
use dlm_core::{Limits, ServerId};

/// What a process begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Which server.
    pub server: ServerId,
    /// What this process calls itself when it announces itself; drawn at random.
    pub nonce: u128,
    /// Where clients find it.
    pub endpoint: Endpoint,
    /// Where the other servers find it.
    pub peer_endpoint: Endpoint,
    /// How long everything takes; the same on all servers.
    pub timing: Timing,
    /// The limits of each slot's table.
    pub limits: Limits,
    /// Whether a fence command is configured.
    pub fence_command: bool,
    /// For the tables' hashes, and for what the process calls itself when it has to begin again.
    pub seed: u64,
}

/// The most events of a session that are kept until it acknowledges them, with its operations and claims
/// that wait because the server may not serve for now or is behind with the log. A client acknowledges what
/// it has read a few times a second; a node that gives up all it caches has so many answers in a moment.
pub const EVENTS_KEPT_MAX: usize = 1 << 16;

/// The most operations of a session that wait at one slot's master until that serves. Never more than what
/// is taken from a session at all.
pub const HELD_BACK_MAX: usize = EVENTS_KEPT_MAX;

/// The most answers of a session and slot that are remembered for operations which may be sent again
/// after the slot moved: as many as it may not have acknowledged, and some that were carried on.
pub const ANSWERED_MAX: usize = 2 * EVENTS_KEPT_MAX;

/// The most calls of clients that wait at this server for the leader's answer: a few for each session.
pub const CALLS_MAX: usize = 1 << 14;

/// How long after something was asked of another server it is asked again, in microseconds.
pub const ASK_AGAIN_US: u64 = 100_000;
