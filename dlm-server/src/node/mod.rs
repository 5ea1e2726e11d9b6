//! A whole server of the cluster, as one machine without I/O.
//!
//! ```text
//!   time, peers, calls, streams ──► step ──► persist, send, answer, stream
//!                                    │
//!    replica ─► state ─► effects ─► masters ─► streams
//! ```
//!
//! [`Node::step`] takes one [`Input`] and appends [`Output`]s, which are carried out in their order. It has
//! no clock, no disk, no network and no randomness: a simulator runs the same code as a server.
//!
//! How to read it:
//!
//! | file | what |
//! |---|---|
//! | `message.rs` | the whole interface; what servers say to each other stands in [`dlm_core::peer`] |
//! | `log.rs` | entries and snapshots become the state; which process this is by them |
//! | `effects.rs` | what an applied entry means for masters and streams; the slot map |
//! | `masters.rs` | how work finds its slot's master, and the gate that the lease opens |
//! | `unopened.rs` | work in lockspaces that this server has yet to hear of |
//! | `moves.rs`, `ledger.rs` | a slot's table on its way, and what goes with it so that nothing is applied twice |
//! | `streams.rs`, `requests.rs` | generations, numbers, events that wait to be acknowledged |
//! | `calls.rs` | clients' calls; keepalives are relayed |
//! | `lease.rs` | the server's own lease |
//! | `recording.rs` | what the masters do to locks gets into the [journal](crate::journal) |
//! | `operator.rs` | what is done for whoever looks after the cluster, and for the deadlock search |
//! | `sight.rs` | what can be seen of a server from outside |
//! | `wishes.rs` | what this server wants in the log |
//! | `coordinator.rs`, `leading.rs` | what the leader does: leases, fences, moves |
//! | `ages.rs` | how old sessions are, by the leader's count |
//! | `membership.rs` | servers are added and removed |

mod ages;
mod calls;
mod config;
mod coordinator;
mod effects;
mod leading;
mod lease;
mod ledger;
mod log;
mod masters;
mod membership;
mod message;
mod moves;
mod nonces;
mod notice;
mod operator;
mod recording;
mod requests;
mod sight;
mod streams;
#[cfg(test)]
mod tests;
mod unopened;
mod wishes;
mod words;

pub use ages::SessionAge;
pub use config::{
    ANSWERED_MAX, ASK_AGAIN_US, CALLS_MAX, EVENTS_KEPT_MAX, HELD_BACK_MAX, NodeConfig,
};
pub use ledger::{HandedLedger, HandedSession};
pub use message::{Input, Notice, Output, PeerMessage, Proposal, StreamId};
pub use operator::{OrderId, OrderRefusal, Ordered};
pub use sight::{Leases, LinkSight};

use std::collections::{BTreeMap, VecDeque};

use dlm_core::call::CallId;
use dlm_core::cluster::ClusterState;
use dlm_core::recovery::{Begin, PhaseName, SlotInput, SlotMaster};
use dlm_core::{Incarnation, LogIndex, ServerId, SessionId, Tick};

use crate::journal::Journal;
use crate::replica::{Action, Context, Event, Replica};
use calls::{Relayed, ReplyTo};
use coordinator::{Coordinator, Renewal};
use lease::Lease;
use masters::{Key, Masters};
use membership::Asked;
use nonces::Nonces;
use streams::Streams;
use wishes::Wishes;

/// One server.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    started: Tick,
    now: Tick,
    replica: Replica,
    state: ClusterState,
    /// What this process calls itself, and the number that the log gave it.
    nonce: u128,
    nonces: Nonces,
    incarnation: Option<Incarnation>,
    lease: Lease,
    leader: Option<ServerId>,
    coordinator: Option<Coordinator<ReplyTo>>,
    /// When the leader looks next whether the members or the state's servers have to become others.
    change_members_at: Tick,
    /// Changes of the members that were called for.
    asked: BTreeMap<Context, Asked>,
    /// Whether this server is a member; `None` before it was told who the members are.
    member: Option<bool>,
    contexts: u64,
    proposed: BTreeMap<Context, ReplyTo>,
    relays: u64,
    relayed: BTreeMap<CallId, Relayed>,
    wishes: Wishes,
    masters: Masters,
    /// What masters begin with, as of an entry.
    begin: Option<(LogIndex, Begin)>,
    streams: Streams,
    journal: Journal,
    /// What the replica is told next.
    events: VecDeque<Event>,
    /// Messages of this server to itself.
    local: VecDeque<PeerMessage>,
}

impl Node {
    /// A server whose process starts, with its replica and what that put out first.
    #[must_use]
    pub fn new(
        now: Tick,
        config: NodeConfig,
        replica: Replica,
        actions: Vec<Action>,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut node = Self {
            started: now,
            now,
            replica,
            state: ClusterState::new(),
            nonce: config.nonce,
            nonces: Nonces::new(config.nonce, config.seed),
            incarnation: None,
            lease: Lease::new(config.timing),
            leader: None,
            coordinator: None,
            change_members_at: now,
            asked: BTreeMap::new(),
            member: None,
            contexts: 0,
            proposed: BTreeMap::new(),
            // An answer to what another process of this server relayed must not be taken for one of ours.
            relays: config.nonce as u64,
            relayed: BTreeMap::new(),
            wishes: Wishes::default(),
            masters: Masters::default(),
            begin: None,
            streams: Streams::default(),
            journal: Journal::default(),
            events: VecDeque::new(),
            local: VecDeque::new(),
            config,
        };
        node.act(actions, out);
        node.settle(out);
        node
    }

    /// Takes one input and appends what has to be done. `now` never goes back.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        self.step_all(now, [input], out);
    }

    /// Takes what came in at once, in its order; see [`Replica::step_all`].
    pub fn step_all(
        &mut self,
        now: Tick,
        inputs: impl IntoIterator<Item = Input>,
        out: &mut Vec<Output>,
    ) {
        self.now = self.now.max(now);
        if self.lease.ran_out(self.now) {
            out.push(Output::Log(Notice::LeaseRanOut));
        }
        for input in inputs {
            self.hear(input, out);
        }
        self.settle(out);
    }

    fn hear(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Tick => self.tick(out),
            Input::Peer { from, message } => self.peer(from, message, out),
            Input::Call { call, asked } => self.call(ReplyTo::Client(call), asked, out),
            Input::StreamOpened { stream, hello } => self.open_stream(stream, &hello, out),
            Input::StreamMessage { stream, message } => self.stream_says(stream, message, out),
            Input::StreamClosed { stream } => self.streams.closed(stream),
            Input::Persisted { number } => self.events.push_back(Event::Persisted { number }),
            Input::FenceEnded { session, outcome } => self.fence_ended((session, outcome), out),
            Input::NotAMember { said_by } => self.not_a_member(said_by, out),
            Input::EndWait {
                order,
                slot,
                epoch,
                victim,
            } => {
                let outcome = self.end_wait((slot, epoch), victim, out);
                out.push(Output::Ordered { order, outcome });
            }
            Input::PurgeOrphans {
                order,
                session,
                lockspace,
                owner,
            } => {
                let outcome = self.purge_orphans(session, (lockspace, owner), out);
                out.push(Output::Ordered { order, outcome });
            }
        }
    }

    /// The cluster's state as far as this server has applied it.
    #[must_use]
    pub const fn state(&self) -> &ClusterState {
        &self.state
    }

    /// How many entries and quorum rounds this process has asked its replica for.
    #[must_use]
    pub const fn proposed(&self) -> u64 {
        self.contexts
    }

    /// The log's replica: its role, its members.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The number of this process, where the log has given it one.
    #[must_use]
    pub const fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    /// Who leads, as far as this server knows.
    #[must_use]
    pub const fn leader(&self) -> Option<ServerId> {
        self.leader
    }

    /// Whether this server may serve now, as far as its lease goes.
    #[must_use]
    pub fn holds_lease(&self, now: Tick) -> bool {
        self.lease.holds(now)
    }

    /// The masters here, those that hand their slot over included: to look at.
    pub fn masters(&self) -> impl Iterator<Item = &SlotMaster> {
        self.masters.all.values().map(|mastered| &mastered.master)
    }

    fn tick(&mut self, out: &mut Vec<Output>) {
        self.events.push_back(Event::Tick);
        self.drive(out);
        self.renew_lease(out);
        self.lead(out);
        self.give_up_relayed(false, out);
        self.want_images_again(out);
        if self.lease.holds(self.now) {
            let recovering = self.masters.all.iter();
            let recovering =
                recovering.filter(|(_, mastered)| mastered.master.phase() == PhaseName::Recovering);
            let keys: Vec<Key> = recovering.map(|(&key, _)| key).collect();
            for key in keys {
                self.step_master(key, SlotInput::Clock, out);
            }
        }
    }

    fn renew_lease(&mut self, out: &mut Vec<Output>) {
        let (Some(incarnation), Some(leader)) = (self.incarnation, self.leader) else {
            return;
        };
        if self.lease.due(self.now) {
            let sent = self.now;
            self.send(leader, PeerMessage::Renew { incarnation, sent }, out);
        }
    }

    fn peer(&mut self, from: ServerId, message: PeerMessage, out: &mut Vec<Output>) {
        match message {
            PeerMessage::Raft(bytes) => self.events.push_back(Event::Message { from, bytes }),
            PeerMessage::Renew { incarnation, sent } => {
                let reply = ReplyTo::Server(from, sent);
                self.renew(Renewal::Server { incarnation, reply });
            }
            PeerMessage::Renewed {
                incarnation,
                sent,
                applied,
            } => {
                self.lease.renewed(self.incarnation, incarnation, sent);
                self.open_gate(out);
                self.heard_of_openings(sent, applied, out);
            }
            PeerMessage::Relay { call, asked } => {
                self.call(ReplyTo::Relay(from, call), asked, out);
            }
            PeerMessage::Relayed { call, answer } => self.relay_answered(call, answer, out),
            PeerMessage::Propose(proposal) => self.wanted(from, proposal),
            PeerMessage::ImageWanted { slot, epoch, chunk } => {
                self.image_wanted(from, (slot, epoch), chunk, out);
            }
            PeerMessage::Image {
                slot,
                epoch,
                chunk,
                ledger,
            } => self.image(from, (slot, epoch), (chunk, ledger), out),
        }
    }

    fn send(&mut self, to: ServerId, message: PeerMessage, out: &mut Vec<Output>) {
        if to == self.config.server {
            self.local.push_back(message);
        } else {
            out.push(Output::Send { to, message });
        }
    }

    /// Until nothing is left to do within this server.
    fn settle(&mut self, out: &mut Vec<Output>) {
        loop {
            self.drive(out);
            if let Some(message) = self.local.pop_front() {
                self.peer(self.config.server, message, out);
                continue;
            }
            self.wish(out);
            if self.local.is_empty() && self.events.is_empty() {
                break;
            }
        }
    }

    /// Tells the replica what there is to tell, and does what it says.
    fn drive(&mut self, out: &mut Vec<Output>) {
        while !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            let mut actions = Vec::new();
            self.replica.step_all(self.now, events, &mut actions);
            self.act(actions, out);
        }
    }

    fn is_live(&self, session: SessionId) -> bool {
        let known = self.state.sessions().get(&session);
        known.is_some_and(dlm_core::cluster::Session::is_live)
    }
}
