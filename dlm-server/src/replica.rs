//! This server's part in the cluster's log: `raft`, wrapped once, as a machine without I/O.
//!
//! ```text
//!   time, messages, proposals ──► step ──► persist, send, apply, read, role
//!                                  ▲           │
//!                                  └─ persisted┘
//! ```
//!
//! [`Replica::step`] takes one [`Event`] and appends [`Action`]s. **Their order is the contract.**
//! Whoever carries them out does so in that order, and may let a [`Persist`](Action::Persist) go on
//! while it does the next ones: everything that Raft wants on the disk first (an answer to a vote, an
//! acknowledgement of entries) is kept inside until [`Event::Persisted`] says that it is there. Writes
//! are persisted in the order they were given.
//!
//! How to read it:
//!
//! 1. [`event`] and [`action`]: the whole interface.
//! 2. `replica/drain.rs`: what `raft` has ready, put in order.
//! 3. `replica/propose.rs`: proposals, quorum rounds, membership.
//! 4. `replica/envelope.rs`: what a message is wrapped in, and which ones are not read.
//! 5. `replica/log_view.rs`: the log in memory, as `raft` wants to see it. The log is short, since a
//!    snapshot takes its place often, and so it is read from the disk only at the start.
//! 6. `replica/election.rs`: the only random thing in Raft, from a stream of our own.
//!
//! Nothing is read from a lease: a read is a round of the quorum that begins after it was asked for.

pub mod action;
pub mod event;

mod config;
mod drain;
mod election;
mod envelope;
mod log_view;
mod propose;

pub use action::{Action, Context, Dropped, MessageRefusal, Role};
pub use config::{Config, ReplicaError};
pub use envelope::MESSAGE_BYTES_MAX;
pub use event::Event;
pub use propose::{PROPOSAL_BYTES_MAX, SNAPSHOT_BYTES_MAX};

use std::collections::{BTreeMap, VecDeque};

use dlm_core::{LogIndex, ServerId, Tick};
use raft::eraftpb::MessageType;
use raft::{RawNode, StateRole};

use crate::members::{Member, Members};
use crate::storage::{Identity, Stored};

use action::Sending;
use election::Election;
use envelope::Envelope;
use log_view::LogView;

/// One server's replica of the log.
pub struct Replica {
    config: Config,
    identity: Identity,
    raw: RawNode<LogView>,
    election: Election,
    /// When `raft`'s own clock was last moved on.
    ticked: Tick,
    /// What was last said about the role.
    role: (Role, u64, Option<ServerId>),
    /// Members after each entry that changed them, from the snapshot's on.
    members: BTreeMap<u64, Members>,
    /// The last entry that was given out to be applied.
    applied: u64,
    /// Bytes of the entries given out since the last snapshot.
    applied_bytes: usize,
    /// A snapshot was asked for and not made yet.
    snapshot_asked: bool,
    /// Snapshots on their way to other servers, and since when.
    snapshots_out: BTreeMap<u64, Tick>,
    /// Writes that were given out and are not on the disk yet, oldest first.
    persisting: VecDeque<Persisting>,
    /// The number of the last write.
    written: u64,
    /// The term that is known to be on the disk.
    term_on_disk: u64,
    proposals: BTreeMap<u64, (u64, Context)>,
    reads: BTreeMap<u64, Context>,
    /// The number of the last read.
    read: u64,
    /// Reads that the quorum has confirmed, and that wait for the entries before them to be applied.
    reads_waiting: VecDeque<(u64, Context)>,
}

/// A write under way.
struct Persisting {
    number: u64,
    /// The last of `raft`'s readies that it finishes, where it is one's.
    ready: Option<u64>,
    /// The term that is on the disk then, where it is written.
    term: Option<u64>,
    /// What may be sent when it is on the disk.
    then: Vec<Sending>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("server", &self.identity.server)
            .field("role", &self.role)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

impl Replica {
    /// A replica of what was found on the disk. The same `seed` and the same events make the same
    /// actions; servers of one cluster should have different ones. The first actions are a
    /// [`Restore`](Action::Restore) of the snapshot and [`Apply`](Action::Apply) of what is known to be
    /// committed after it.
    ///
    /// # Errors
    /// Where the configuration makes no sense.
    pub fn new(
        now: Tick,
        config: Config,
        stored: Stored,
        seed: u64,
        out: &mut Vec<Action>,
    ) -> Result<Self, ReplicaError> {
        config.check()?;
        let identity = stored.identity;
        let snapshot = stored.snapshot.clone();
        let applied = snapshot.index;
        let term_on_disk = stored.hard.term;
        let raft_config = config.raft(identity.server, applied);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&raft_config, LogView::new(stored), &logger)
            .map_err(|error| ReplicaError::Raft(error.to_string()))?;
        let mut replica = Self {
            config,
            identity,
            raw,
            election: Election::new(seed, config),
            ticked: now,
            role: (Role::Follower, 0, None),
            members: BTreeMap::new(),
            applied,
            applied_bytes: 0,
            snapshot_asked: false,
            snapshots_out: BTreeMap::new(),
            persisting: VecDeque::new(),
            written: 0,
            term_on_disk,
            proposals: BTreeMap::new(),
            reads: BTreeMap::new(),
            read: 0,
            reads_waiting: VecDeque::new(),
        };
        replica.restored(snapshot, out);
        replica.settle();
        replica.drain(now, out);
        replica.lead_at_once(now, out);
        Ok(replica)
    }

    /// Who decides alone waits for nobody: there is no other leader to be heard of. What is still to be
    /// written goes first, as in [`tick`](Self::tick).
    fn lead_at_once(&mut self, now: Tick, out: &mut Vec<Action>) {
        if self.decides_alone() && self.persisting.is_empty() {
            // `raft` refuses where it has yet to apply a change of the members; then its patience runs.
            let _ = self.raw.campaign();
            self.settle();
            self.drain(now, out);
        }
    }

    /// Whether this server is the only one with a vote: it leads, or will as soon as it stands for election.
    #[must_use]
    pub fn decides_alone(&self) -> bool {
        let us = self.members().member(self.identity.server);
        let is_us =
            |member: Member| member.voter && member.identity == self.identity.server_identity;
        us.is_some_and(is_us) && self.members().voters() == 1
    }

    /// Whether this server leads and has given out all that the leaders before it put into the log: what
    /// follows from the members and from what was applied, no other leader had begun to change.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        let raft = &self.raw.raft;
        let term = raft.raft_log.term(self.applied);
        raft.state == StateRole::Leader && term.is_ok_and(|term| term == raft.term)
    }

    /// Takes one event and appends what follows from it.
    pub fn step(&mut self, now: Tick, event: Event, out: &mut Vec<Action>) {
        self.step_all(now, [event], out);
    }

    /// Takes events that are there at once: what follows from all of them is one write, and one message
    /// to each of the others. A move of all slots is hundreds of entries, and a synchronous write for
    /// each would take longer than leases last.
    pub fn step_all(
        &mut self,
        now: Tick,
        events: impl IntoIterator<Item = Event>,
        out: &mut Vec<Action>,
    ) {
        self.tick(now);
        for event in events {
            self.take(event, out);
        }
        self.settle();
        self.drain(now, out);
    }

    fn take(&mut self, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Message { from, bytes } => {
                if let Err(why) = self.message(from, &bytes) {
                    out.push(Action::MessageRefused { from, why });
                }
            }
            Event::Persisted { number } => self.persisted(number, out),
            Event::Propose { context, bytes } => self.propose(context, bytes, out),
            Event::Read { context } => self.read(context, out),
            Event::Change { context, change } => self.change(context, change, out),
            Event::TransferLeader { to } => self.transfer(to),
            Event::SnapshotMade { index, bytes } => self.snapshot_made(index, bytes, out),
        }
    }

    /// Whose replica this is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The last entry that was given out to be applied.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        LogIndex(self.applied)
    }

    /// The role, the term, and the leader where one is known, as last said by
    /// [`Action::RoleChanged`].
    #[must_use]
    pub fn role(&self) -> (Role, u64, Option<ServerId>) {
        self.role
    }

    /// Who belongs to the cluster, as far as was applied here.
    #[must_use]
    pub fn members(&self) -> &Members {
        let last = self.members.last_key_value();
        last.expect("the snapshot's members are there").1
    }

    /// How far behind the leader's log a member's is known to be, in entries; none where this server
    /// does not lead. A learner is given a vote when it has caught up.
    #[must_use]
    pub fn lag(&self, server: ServerId) -> Option<u64> {
        if self.raw.raft.state != StateRole::Leader {
            return None;
        }
        let last = self.raw.raft.raft_log.last_index();
        let progress = self.raw.raft.prs().get(server.0)?;
        Some(last.saturating_sub(progress.matched))
    }

    /// Moves `raft`'s clock on to `now`, in its own coarse ticks. After a pause of the whole process
    /// only a few of them are made up for: what queued meanwhile should be read before this server
    /// concludes that the leader is gone.
    fn tick(&mut self, now: Tick) {
        let period = self.config.tick_us;
        let due = now.since(self.ticked) / period;
        if due == 0 {
            return;
        }
        self.ticked = self.ticked.plus(due * period);
        for _ in 0..due.min(self.config.heartbeat_ticks as u64) {
            // A server whose disk does not answer does not stand for election: it would be elected with
            // entries that it does not have for sure yet.
            let leads = self.raw.raft.state == StateRole::Leader;
            if leads || self.persisting.is_empty() {
                self.election.before_tick(&self.raw.raft);
                self.raw.tick();
                self.settle();
            }
        }
        self.retry_snapshots(now);
    }

    /// A snapshot whose arrival was not heard of in time is taken for lost; the next answer to a
    /// heartbeat makes `raft` send another.
    fn retry_snapshots(&mut self, now: Tick) {
        let (limit, raw) = (self.config.snapshot_wait_us, &mut self.raw);
        self.snapshots_out.retain(|&to, &mut since| {
            let waits = now.since(since) < limit;
            if !waits {
                raw.report_snapshot(to, raft::SnapshotStatus::Failure);
            }
            waits
        });
    }

    fn message(&mut self, from: ServerId, bytes: &[u8]) -> Result<(), MessageRefusal> {
        let message = Envelope::open(self.identity, self.members(), from, bytes)?;
        let elects = message.get_msg_type() == MessageType::MsgTimeoutNow;
        if elects && !self.persisting.is_empty() {
            return Ok(());
        }
        // What `raft` has against a message (its sender is no member, it is old) is its own business.
        let _ = self.raw.step(message);
        Ok(())
    }

    /// After everything that is done to `raft`: its next election is when our own stream says.
    fn settle(&mut self) {
        self.election.settle(&mut self.raw.raft);
    }
}

#[cfg(test)]
mod tests;
