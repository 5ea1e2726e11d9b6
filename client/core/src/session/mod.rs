//! A client of a cluster, as a pure machine: half of what makes a lock safe.
//!
//! | file | what |
//! |---|---|
//! | `event.rs` | the interface: what it is told and what it says |
//! | `call.rs`, `link.rs` | the messages: calls to the cluster, streams to the masters |
//! | `lease.rs` | how long the session lives, by its own clock |
//! | `calls.rs` | calls until they are answered |
//! | `map.rs` | which server masters which slot |
//! | `streams.rs`, `links.rs` | a stream to each master, whatever breaks |
//! | `locks.rs` | the lock book |
//! | `operations.rs`, `everywhere.rs` | operations until they are answered |
//! | `reassert.rs` | what is claimed when a master was lost |
//! | `invariants.rs` | what is always true |
//!
//! **What it owes.** It ends before the cluster lets it die, and says so once. It believes no slot map from
//! before it joined. It numbers what it sends, so that everything is applied once. When a slot's master was
//! lost, it tells the new one what it holds and waits for, and then nothing of an earlier epoch counts.
//!
//! **When something is sent to a master.** Only to the process that the slot map names, and only when that
//! process is known to have the log entry that says so: then it cannot answer that it is not the master, but
//! where it has stopped to be. So a [`link::Event::NotMaster`] never makes an operation be sent
//! again; a newer epoch of the slot does, by these rules:
//!
//! - *The table moved* (planned): what was not answered is sent to the new master under the same [`OpId`]. It
//!   came with the table, or it never was applied.
//! - *The table was lost*: what was not answered is claimed, or sent again, by the table at
//!   [`Claim`](dlm_core::recovery::Claim).
//!
//! **Blocking callbacks.** A new master sends its own. One that overtakes the answer to an operation, because
//! the old master's stream is slower, is said again after that answer: before it, nobody may have listened.

mod calls;
pub mod event;
mod everywhere;
pub mod invariants;
mod lease;
mod links;
mod locks;
mod map;
mod operations;
mod reassert;
mod streams;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use dlm_core::cluster::{CommandRefusal, Timing};
use dlm_core::{LockspaceId, LogIndex, OpId, ServerId, SessionId, SlotId, Tick, ValueLength};

pub use calls::ENDPOINTS_MAX;
pub use event::{Answer, Completion, Config, Failure, Input, Loss, Output, StreamId, Ticket};
pub use everywhere::EVERYWHERE_MAX;
pub use locks::LOCKS_MAX;
pub use operations::OPERATIONS_MAX;
pub use reassert::{CLAIMED_SLOTS_MAX, CLAIMS_PER_MESSAGE_MAX};

pub use dlm_core::{call, link};

use call::{Call, CallAnswer};
use calls::{Calls, Job};
use everywhere::Everywhere;
use lease::Lease;
use locks::Book;
use map::Map;
use operations::Op;
use streams::Stream;

/// The most calls for callers at once: opening and leaving lockspaces is rare.
pub const CALLS_MAX: usize = 256;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It asks to be let in.
    Joining,
    /// It lives.
    Live,
    /// It says goodbye.
    Leaving,
    /// It ended or is lost.
    Over,
}

/// A lockspace that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    value_length: ValueLength,
    /// It is being left: nothing new is asked for there.
    leaving: bool,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    timing: Timing,
    phase: Phase,
    id: SessionId,
    /// When it began: its first Join was sent no earlier.
    begun: Tick,
    /// The entry that made it, while no keepalive of it was acknowledged and none was needed.
    unconfirmed: Option<LogIndex>,
    lease: Option<Lease>,
    /// When the next keepalive is due.
    keepalive_at: Tick,
    calls: Calls,
    map: Map,
    streams: BTreeMap<ServerId, Stream>,
    /// The lockspaces that are open.
    spaces: BTreeMap<LockspaceId, Space>,
    book: Book,
    ops: BTreeMap<OpId, Op>,
    by_slot: BTreeSet<(SlotId, OpId)>,
    /// Operations that their slot's master, as of its epoch, has to be sent.
    unsent: BTreeSet<(SlotId, OpId)>,
    everywhere: BTreeMap<OpId, Everywhere>,
    next_op: u64,
    next_stream: u64,
    /// Something happened that may let what waits go on.
    stirred: bool,
}

/// The most locks of a session whose invariants are checked at every step, where they are at all.
const CHECKED_LOCKS_MAX: usize = 256;

impl Session {
    /// A session that is about to join.
    #[must_use]
    pub fn new(now: Tick, config: Config) -> Self {
        let mut calls = Calls::new(config.endpoints.clone(), config.seed);
        let join = Call::Join {
            nonce: config.nonce,
            name: config.name.clone(),
            versions: config.versions,
            attests: config.attests,
        };
        calls.begin(now, Job::Join, join);
        Self {
            timing: config.timing,
            phase: Phase::Joining,
            id: SessionId(0),
            begun: now,
            unconfirmed: None,
            lease: None,
            keepalive_at: now,
            calls,
            map: Map::new(LogIndex(0)),
            streams: BTreeMap::new(),
            spaces: BTreeMap::new(),
            book: Book::default(),
            ops: BTreeMap::new(),
            by_slot: BTreeSet::new(),
            unsent: BTreeSet::new(),
            everywhere: BTreeMap::new(),
            next_op: 1,
            next_stream: 1,
            stirred: false,
            config,
        }
    }

    /// Takes one input. `now` never goes back, and goes on while the machine is suspended.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        if self.is_over(now, out) {
            Self::refuse(input, out);
            return;
        }
        match input {
            Input::Clock => {}
            Input::Answered { call, answer } => {
                let ended = self.calls.answered(now, &self.timing, call, answer);
                if let Some((job, sent, answer)) = ended {
                    self.call_ended(now, job, sent, answer, out);
                }
            }
            Input::Received { stream, message } => self.received(now, stream, message, out),
            Input::Closed { stream } => self.closed(now, stream),
            Input::Operate { ticket, kind } => self.operate(ticket, kind, out),
            Input::Everywhere { ticket, kind } => self.everywhere(ticket, kind, out),
            Input::OpenLockspace {
                ticket,
                name,
                options,
            } => {
                if self.may_call(ticket, out) {
                    let call = Call::OpenLockspace {
                        session: self.id,
                        nonce: self.config.nonce,
                        name,
                        options,
                    };
                    self.calls.begin(now, Job::Open(ticket), call);
                }
            }
            Input::Goodbye => self.goodbye(now, out),
        }
        self.go_on(now, out);
        // All of a large session at every step would take longer than its lease.
        if self.book.len() <= CHECKED_LOCKS_MAX {
            debug_assert_eq!(invariants::check(self), Ok(()));
        }
    }

    /// When [`Input::Clock`] is due, where nothing else happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Tick> {
        let live = matches!(self.phase, Phase::Live).then_some(self.keepalive_at);
        let ends = self.lease.map(|lease| lease.ends);
        let calls = self.calls.wake_at(&self.timing);
        let streams = self.streams_wake_at();
        let times = [live, ends, calls, streams].into_iter().flatten();
        times.min().filter(|_| self.phase != Phase::Over)
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Its number, where it has joined.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.lease.is_some().then_some(self.id)
    }

    /// The number that the next operation will be sent under.
    #[must_use]
    pub const fn next_op(&self) -> OpId {
        OpId(self.next_op)
    }

    /// When it ends unless another keepalive is acknowledged; `None` before it joined.
    #[must_use]
    pub fn lease_ends(&self) -> Option<Tick> {
        self.lease.map(|lease| lease.ends)
    }

    /// How long it may use its lease, from the sending of what renewed it to [`Self::lease_ends`]; `None`
    /// before it joined.
    #[must_use]
    pub fn lease_held_us(&self) -> Option<u64> {
        self.lease.map(|lease| lease.ends.since(lease.renewed))
    }

    /// How many locks it has or waits for, and how many operations are in progress.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.book.len(), self.ops.len())
    }

    /// Whether it is over. The lease is looked at before anything else: after a stop of the machine nothing
    /// is done with a lock that others may have by now.
    fn is_over(&mut self, now: Tick, out: &mut Vec<Output>) -> bool {
        if self.lease.is_some_and(|lease| lease.is_over(now)) {
            match self.phase {
                Phase::Leaving => self.end(Output::Ended, out),
                _ => self.lose(Loss::Lease, out),
            }
        }
        self.phase == Phase::Over
    }

    /// What is asked of a session that is over.
    fn refuse(input: Input, out: &mut Vec<Output>) {
        if let Input::Operate { ticket, .. }
        | Input::Everywhere { ticket, .. }
        | Input::OpenLockspace { ticket, .. } = input
        {
            fail(ticket, Failure::Over, out);
        }
    }

    fn lose(&mut self, why: Loss, out: &mut Vec<Output>) {
        self.end(Output::Lost { why }, out);
    }

    /// The last words; nothing is sent any more, and every waiter is told.
    fn end(&mut self, last: Output, out: &mut Vec<Output>) {
        if self.phase == Phase::Over {
            return;
        }
        self.phase = Phase::Over;
        self.lease = None;
        // What this step wanted to send is not sent either.
        out.retain(|output| {
            !matches!(
                output,
                Output::Send { .. } | Output::Call { .. } | Output::Open { .. }
            )
        });
        self.drop_waiters(out);
        out.push(last);
    }

    fn drop_waiters(&mut self, out: &mut Vec<Output>) {
        let ops = core::mem::take(&mut self.ops);
        let everywhere = core::mem::take(&mut self.everywhere);
        let mut tickets: Vec<Ticket> = ops.into_values().map(|op| op.ticket).collect();
        tickets.extend(everywhere.into_values().map(|one| one.ticket));
        tickets.extend(self.calls.clear());
        for ticket in tickets {
            fail(ticket, Failure::Over, out);
        }
        self.by_slot.clear();
        self.unsent.clear();
        self.book = Book::default();
        for (_, stream) in core::mem::take(&mut self.streams) {
            out.extend(stream.id().map(|stream| Output::Close { stream }));
        }
    }

    fn may_call(&self, ticket: Ticket, out: &mut Vec<Output>) -> bool {
        let failure = match self.phase {
            Phase::Joining => Some(Failure::NotJoined),
            Phase::Leaving | Phase::Over => Some(Failure::Over),
            Phase::Live if self.calls.len() >= CALLS_MAX => Some(Failure::Operations),
            Phase::Live => None,
        };
        let may = failure.is_none();
        if let Some(failure) = failure {
            fail(ticket, failure, out);
        }
        may
    }

    fn goodbye(&mut self, now: Tick, out: &mut Vec<Output>) {
        match self.phase {
            Phase::Live => {
                self.phase = Phase::Leaving;
                self.drop_waiters(out);
                let goodbye = Call::Goodbye {
                    session: self.id,
                    nonce: self.config.nonce,
                };
                self.calls.begin(now, Job::Goodbye, goodbye);
            }
            // Whether the cluster let it join is not known; its lease there runs out.
            Phase::Joining => self.end(Output::Ended, out),
            Phase::Leaving | Phase::Over => {}
        }
    }

    fn call_ended(
        &mut self,
        now: Tick,
        job: Job,
        sent: Tick,
        answer: CallAnswer,
        out: &mut Vec<Output>,
    ) {
        match (job, answer) {
            (
                Job::Join,
                CallAnswer::Joined {
                    session,
                    joined,
                    lease_us,
                    ..
                },
            ) => {
                self.timing = lease::with_lease(self.timing, lease_us);
                self.id = session;
                self.map = Map::new(joined);
                if now.since(self.begun) < self.timing.keepalive_us {
                    self.begins(now, self.begun, joined, out);
                } else {
                    self.unconfirmed = Some(joined);
                    self.keep_alive(now);
                }
            }
            (Job::KeepAlive, CallAnswer::Alive { .. }) if self.phase == Phase::Joining => {
                if let Some(joined) = self.unconfirmed.take() {
                    self.begins(now, sent, joined, out);
                }
            }
            (Job::KeepAlive, CallAnswer::Alive { map_index }) => {
                if let Some(lease) = &mut self.lease {
                    lease.renewed(&self.timing, sent);
                }
                if map_index > self.map.index {
                    self.calls.begin(now, Job::Map, Call::Map);
                }
            }
            (Job::Map, CallAnswer::Map(map)) => self.take_map(now, map, out),
            (Job::Goodbye, _) => self.end(Output::Ended, out),
            (
                Job::Open(ticket),
                CallAnswer::Opened {
                    lockspace,
                    options,
                    replays,
                },
            ) => {
                let value_length = options.locks.value_length;
                let space = Space {
                    value_length,
                    leaving: false,
                };
                self.spaces.insert(lockspace, space);
                let answer = Answer::Opened {
                    lockspace,
                    options,
                    replays,
                };
                out.push(Output::Answer { ticket, answer });
            }
            (Job::Leave(ticket, lockspace, locks), CallAnswer::Done) => {
                self.spaces.remove(&lockspace);
                let answer = Answer::Purged { locks };
                out.push(Output::Answer { ticket, answer });
            }
            (job, CallAnswer::Refused(why)) => self.call_refused(now, job, why, out),
            // Nothing else ends a call.
            _ => {}
        }
    }

    /// It lives, by a lease that is counted from `since`.
    ///
    /// The cluster counts a session's first lease from when it executed the first `Join` that it got, and
    /// renews nothing at those that come after. Which one that was the client cannot know, only that it was
    /// sent after it began. So the lease is counted from there where the answer came soon, and otherwise from
    /// a keepalive, before which the session is not used.
    fn begins(&mut self, now: Tick, since: Tick, joined: LogIndex, out: &mut Vec<Output>) {
        self.lease = Some(Lease::new(&self.timing, since));
        self.phase = Phase::Live;
        self.keepalive_at = since.plus(self.timing.keepalive_us);
        // An answer that took longer than the lease is none.
        if self.is_over(now, out) {
            return;
        }
        let session = self.id;
        out.push(Output::Joined { session, joined });
        self.calls.begin(now, Job::Map, Call::Map);
    }

    fn call_refused(&mut self, now: Tick, job: Job, why: CommandRefusal, out: &mut Vec<Output>) {
        let gone = matches!(
            why,
            CommandRefusal::NoSuchSession | CommandRefusal::SessionDead
        );
        match job {
            // There may be room later.
            Job::Join if why == CommandRefusal::Sessions => self.call_again(now, job),
            Job::Join => self.lose(Loss::Join(why), out),
            // Its nonce is somebody else's, or it is.
            _ if why == CommandRefusal::NotYours => self.lose(Loss::Join(why), out),
            // It died before it was used.
            _ if gone && self.phase == Phase::Joining => self.lose(Loss::Join(why), out),
            _ if gone => self.lose(Loss::Dead, out),
            Job::Open(ticket) => fail(ticket, Failure::Refused(why), out),
            // Nobody else leaves it: the call was done before, and its answer was lost.
            Job::Leave(ticket, lockspace, locks) if why == CommandRefusal::LockspaceNotOpen => {
                self.spaces.remove(&lockspace);
                let answer = Answer::Purged { locks };
                out.push(Output::Answer { ticket, answer });
            }
            Job::Leave(ticket, lockspace, _) => {
                if let Some(space) = self.spaces.get_mut(&lockspace) {
                    space.leaving = false;
                }
                fail(ticket, Failure::Refused(why), out);
            }
            Job::KeepAlive | Job::Map | Job::Goodbye => self.call_again(now, job),
        }
    }

    fn call_again(&mut self, now: Tick, job: Job) {
        let (session, nonce) = (self.id, self.config.nonce);
        let request = match job {
            Job::KeepAlive => Call::KeepAlive { session, nonce },
            Job::Goodbye => Call::Goodbye { session, nonce },
            Job::Map => Call::Map,
            Job::Join => Call::Join {
                nonce: self.config.nonce,
                name: self.config.name.clone(),
                versions: self.config.versions,
                attests: self.config.attests,
            },
            // These are answered whatever comes.
            Job::Open(_) | Job::Leave(..) => return,
        };
        self.calls.begin(now, job, request);
        self.calls.failed(now, &self.timing, job);
    }

    fn keep_alive(&mut self, now: Tick) {
        let (session, nonce) = (self.id, self.config.nonce);
        let call = Call::KeepAlive { session, nonce };
        self.calls.begin(now, Job::KeepAlive, call);
    }

    /// What follows from any input, and from time.
    fn go_on(&mut self, now: Tick, out: &mut Vec<Output>) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase == Phase::Live {
            if self.keepalive_at <= now {
                // One that takes longer than the period is given up by its own limit.
                self.keep_alive(now);
                self.keepalive_at = now.plus(self.timing.keepalive_us);
            }
            self.tend_streams(now, out);
            if core::mem::take(&mut self.stirred) {
                self.claim_all(out);
                self.send_unsent(out);
                self.send_everywhere(now, out);
            }
        }
        self.calls.tick(now, &self.timing, out);
    }
}

fn fail(ticket: Ticket, failure: Failure, out: &mut Vec<Output>) {
    let answer = Answer::Failed(failure);
    out.push(Output::Answer { ticket, answer });
}
