//! What a replica may use, and how fast it is.

use dlm_core::ServerId;
use dlm_core::cluster::Timing;
use raft::ReadOnlyOption;
use thiserror::Error;

/// The numbers of a replica. All servers of a cluster should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often Raft's own clock moves on, in microseconds.
    pub tick_us: u64,
    /// A leader is heard of at least this often, in those ticks.
    pub heartbeat_ticks: usize,
    /// A leader that was not heard of for so many ticks is taken for lost. Each server waits between
    /// this and twice as many, at random, so that they do not all stand for election at once. A leader
    /// that did not hear from a majority for so many ticks steps down.
    pub election_ticks: usize,
    /// A snapshot is asked for when so many entries were applied since the last.
    pub snapshot_entries: u64,
    /// Or so many bytes of them.
    pub snapshot_bytes: usize,
    /// So many entries before a snapshot are kept for servers that are a little behind: they get those
    /// instead of the whole snapshot. A running server that gets a snapshot begins again, and its tables
    /// are lost: so there are many, a few times what all slots' moving at once puts into the log.
    pub entries_kept: u64,
    /// How long a snapshot may be on its way to another server, in microseconds, before it is taken for
    /// lost.
    pub snapshot_wait_us: u64,
}

/// The most bytes of entries in one message, unless a single entry is larger.
const MESSAGE_ENTRIES_BYTES_MAX: u64 = 256 << 10;

/// The most messages with entries under way to one server.
const MESSAGES_UNANSWERED_MAX: usize = 64;

/// The most bytes that are proposed and not committed yet; more are refused. A cluster's events are
/// small and rare; what queues here longer will not be committed soon.
const UNCOMMITTED_BYTES_MAX: u64 = 4 << 20;

/// The most bytes given out to be applied at once.
const COMMITTED_BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// What a server uses whose cluster has the times of [`Timing::DEFAULT`].
    pub const DEFAULT: Self = Self::of(&Timing::DEFAULT);

    /// What a server uses whose cluster has these times.
    #[must_use]
    pub const fn of(timing: &Timing) -> Self {
        Self {
            tick_us: timing.tick_us,
            heartbeat_ticks: (timing.heartbeat_us / timing.tick_us) as usize,
            election_ticks: (timing.election_us_min / timing.tick_us) as usize,
            snapshot_entries: 4096,
            snapshot_bytes: 8 << 20,
            entries_kept: 4096,
            snapshot_wait_us: 1_000_000,
        }
    }

    pub(super) fn check(&self) -> Result<(), ReplicaError> {
        let fits = self.tick_us > 0
            && self.heartbeat_ticks > 0
            && self.election_ticks > self.heartbeat_ticks
            && self.snapshot_entries > 0;
        fits.then_some(()).ok_or(ReplicaError::Config)
    }

    pub(super) fn raft(&self, server: ServerId, applied: u64) -> raft::Config {
        raft::Config {
            id: server.0,
            applied,
            election_tick: self.election_ticks,
            min_election_tick: self.election_ticks,
            max_election_tick: 2 * self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            max_size_per_msg: MESSAGE_ENTRIES_BYTES_MAX,
            max_inflight_msgs: MESSAGES_UNANSWERED_MAX,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            ..raft::Config::default()
        }
    }
}

// A patience is drawn from once to twice the ticks of an election, and the arithmetic of failover counts
// with these two ends.
const _: () = {
    let timing = Timing::DEFAULT;
    assert!(
        timing.heartbeat_us.is_multiple_of(timing.tick_us)
            && timing.election_us_min.is_multiple_of(timing.tick_us)
    );
    assert!(timing.election_us_max == 2 * timing.election_us_min);
};

/// Why there is no replica.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplicaError {
    /// Its numbers contradict each other.
    #[error(
        "the replica's times make no sense: an election must take longer than a heartbeat, and neither \
         they nor the distance of snapshots may be 0"
    )]
    Config,
    /// Raft does not want it.
    #[error("the log cannot be taken up: {0}")]
    Raft(String),
}
