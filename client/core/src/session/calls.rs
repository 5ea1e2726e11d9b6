//! Calls to the cluster until each is answered: where the leader is, what is under way, what is tried again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use dlm_core::cluster::{Endpoint, Timing};
use dlm_core::{LockspaceId, Tick};

use super::call::{Call, CallAnswer, CallId};
use super::event::{Output, Ticket};

/// The most servers that are remembered: the given ones, and those of the map.
pub const ENDPOINTS_MAX: usize = 64;

/// How often a call follows from server to server before it pauses: they do not agree who leads.
const REDIRECTS_MAX: u32 = 3;

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Join,
    KeepAlive,
    Map,
    Goodbye,
    /// For the caller.
    Open(Ticket),
    /// The same, when its locks are gone, and how many these were.
    Leave(Ticket, LockspaceId, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    request: Call,
    /// Failures in a row.
    failed: u32,
    redirects: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Due(Tick),
    UnderWay { call: CallId, sent: Tick },
}

/// All calls.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    jobs: BTreeMap<Job, Pending>,
    endpoints: Vec<Endpoint>,
    at: usize,
    leader: Option<Endpoint>,
    next: u64,
    pub(super) pause: Pause,
}

/// How long to pause before something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause(u64);

impl Pause {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A pause that doubles with each failure up to a limit; somewhere between half of it and all of it.
    pub(super) fn after(&mut self, timing: &Timing, failed: u32) -> u64 {
        let doubled = timing.reconnect_us_min.saturating_mul(1 << failed.min(20));
        let whole = doubled.min(timing.reconnect_us_max).max(2);
        // SplitMix64: spreads well, and needs one word.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        whole / 2 + (mixed ^ (mixed >> 31)) % (whole / 2)
    }
}

impl Calls {
    pub(super) fn new(endpoints: Vec<Endpoint>, seed: u64) -> Self {
        Self {
            jobs: BTreeMap::new(),
            endpoints,
            at: 0,
            leader: None,
            next: 1,
            pause: Pause::new(seed),
        }
    }

    /// Begins a call, unless it is there.
    pub(super) fn begin(&mut self, now: Tick, job: Job, request: Call) {
        self.jobs.entry(job).or_insert(Pending {
            request,
            failed: 0,
            redirects: 0,
            state: State::Due(now),
        });
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Forgets everything, and returns the callers that wait.
    pub(super) fn clear(&mut self) -> Vec<Ticket> {
        let jobs = core::mem::take(&mut self.jobs);
        let tickets = jobs.into_keys().filter_map(|job| match job {
            Job::Open(ticket) | Job::Leave(ticket, ..) => Some(ticket),
            _ => None,
        });
        tickets.collect()
    }

    /// Another server is known.
    pub(super) fn learn(&mut self, endpoint: &Endpoint) {
        if self.endpoints.len() < ENDPOINTS_MAX && !self.endpoints.contains(endpoint) {
            self.endpoints.push(endpoint.clone());
        }
    }

    /// Makes the calls that are due, and gives up those that take too long.
    pub(super) fn tick(&mut self, now: Tick, timing: &Timing, out: &mut Vec<Output>) {
        let late = |pending: &Pending| match pending.state {
            State::UnderWay { sent, .. } => now.since(sent) >= timing.call_us_max,
            State::Due(_) => false,
        };
        let late: Vec<Job> = self
            .jobs
            .iter()
            .filter(|(_, pending)| late(pending))
            .map(|(&job, _)| job)
            .collect();
        for job in late {
            self.failed(now, timing, job);
        }
        for pending in self.jobs.values_mut() {
            if !matches!(pending.state, State::Due(due) if due <= now) {
                continue;
            }
            let known = self.leader.as_ref();
            let Some(endpoint) = known.or_else(|| self.endpoints.get(self.at)) else {
                continue;
            };
            let call = CallId(self.next);
            self.next += 1;
            pending.state = State::UnderWay { call, sent: now };
            out.push(Output::Call {
                call,
                endpoint: endpoint.clone(),
                request: pending.request.clone(),
            });
        }
    }

    /// Takes an answer. Returned is what a call ended with and when it was sent, where it has ended; what
    /// is to be tried again is tried again.
    pub(super) fn answered(
        &mut self,
        now: Tick,
        timing: &Timing,
        call: CallId,
        answer: CallAnswer,
    ) -> Option<(Job, Tick, CallAnswer)> {
        let (job, sent) = self
            .jobs
            .iter()
            .find_map(|(&job, pending)| match pending.state {
                State::UnderWay { call: its, sent } if its == call => Some((job, sent)),
                _ => None,
            })?;
        match answer {
            CallAnswer::Failed | CallAnswer::NotLeader(None) => self.failed(now, timing, job),
            CallAnswer::NotLeader(Some(leader)) => self.redirected(now, timing, job, leader),
            answer if fits(job, &answer) => {
                self.jobs.remove(&job);
                return Some((job, sent, answer));
            }
            // An answer to something else is none.
            _ => self.failed(now, timing, job),
        }
        None
    }

    fn redirected(&mut self, now: Tick, timing: &Timing, job: Job, leader: Endpoint) {
        let Some(pending) = self.jobs.get_mut(&job) else {
            return;
        };
        pending.redirects += 1;
        if pending.redirects > REDIRECTS_MAX {
            self.failed(now, timing, job);
        } else {
            pending.state = State::Due(now);
            self.leader = Some(leader);
        }
    }

    /// A call failed: another server is asked, after a pause.
    pub(super) fn failed(&mut self, now: Tick, timing: &Timing, job: Job) {
        self.leader = None;
        self.at = (self.at + 1) % self.endpoints.len().max(1);
        if let Some(pending) = self.jobs.get_mut(&job) {
            let pause_us = self.pause.after(timing, pending.failed);
            pending.failed += 1;
            pending.redirects = 0;
            pending.state = State::Due(now.plus(pause_us));
        }
    }

    /// The next moment at which there is something to do.
    pub(super) fn wake_at(&self, timing: &Timing) -> Option<Tick> {
        let times = self.jobs.values().map(|pending| match pending.state {
            State::Due(due) => due,
            State::UnderWay { sent, .. } => sent.plus(timing.call_us_max),
        });
        times.min()
    }
}

/// Whether an answer is one to such a call.
const fn fits(job: Job, answer: &CallAnswer) -> bool {
    matches!(
        (job, answer),
        (_, CallAnswer::Refused(_))
            | (Job::Join, CallAnswer::Joined { .. })
            | (Job::KeepAlive, CallAnswer::Alive { .. })
            | (Job::Map, CallAnswer::Map(_))
            | (Job::Open(_), CallAnswer::Opened { .. })
            | (Job::Goodbye | Job::Leave(..), CallAnswer::Done)
    )
}
