//! The slots that this server masters: how an operation finds its slot's master, and when it has to wait.
//!
//! **Nothing is served or granted while the server's own lease does not hold.** All work for masters goes
//! through one gate, which is first in, first out: operations, claims, what becomes of sessions, and the
//! order to hand a slot over. While the lease does not hold it stays there; only `NOQUEUE` is answered
//! *try failed*, which changes nothing. What a step that was taken while the lease held put out is good.
//!
//! **A slot's table of an earlier epoch is dropped**: masters are known by slot and epoch, and work that
//! names an epoch without a master is answered *not master*. Work that names a later epoch than this
//! server has applied waits for the log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dlm_core::cluster::{Death, Origin};
use dlm_core::link::Event;
use dlm_core::recovery::{
    Begin, Claim, Config, EvictReason, Member, PhaseName, SlotInput, SlotMaster, SlotOutput,
    Standing,
};
use dlm_core::{
    Epoch, Input, LockspaceId, OpId, Output as TableOutput, Refusal, SessionId, SlotId, Status,
};

use super::Node;
use super::config::HELD_BACK_MAX;
use super::ledger::Ledger;
use super::message::{Notice, Output};
use super::moves::{Arrival, Departure};
use super::unopened::Unopened;
use super::words;

/// Which master: a slot in an epoch.
pub(super) type Key = (SlotId, Epoch);

/// All that this process masters.
#[derive(Debug, Default)]
pub(super) struct Masters {
    pub(super) all: BTreeMap<Key, Mastered>,
    /// Work that waits for the lease.
    gate: VecDeque<(Key, Work)>,
    /// Work that waits for the log.
    early: BTreeMap<Key, Vec<Work>>,
    /// Work that waits until its lockspace is open.
    pub(super) unopened: Unopened,
    /// Operations on many locks: the masters that have not answered, and how many locks went so far.
    everywhere: BTreeMap<(SessionId, OpId), (BTreeSet<Key>, u32)>,
    /// Sessions that masters want evicted.
    pub(super) evict: BTreeMap<SessionId, Death>,
    pub(super) tokens_low: BTreeSet<Key>,
}

/// A master and what belongs to it.
#[derive(Debug)]
pub(super) struct Mastered {
    pub(super) master: SlotMaster,
    pub(super) ledger: Ledger,
    pub(super) arrival: Option<Arrival>,
    pub(super) departure: Option<Departure>,
    /// Operations that came before the slot is served. They wait here and not in the master, since one
    /// that was sent before may have been applied by the master before.
    held: VecDeque<Operation>,
}

/// An operation, as the table takes it.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) session: SessionId,
    pub(super) op: OpId,
    pub(super) input: Input,
}

/// Something for a master to do.
#[derive(Debug)]
pub(super) enum Work {
    Operation(Operation),
    Claims {
        session: SessionId,
        claims: Vec<Claim>,
        done: bool,
    },
    /// What became of a session or a lockspace.
    Event(SlotInput),
    /// The slot goes to another server, or to another epoch here.
    Leave(Departure),
}

impl Work {
    pub(super) const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Operation(operation) => Some(operation.session),
            Self::Claims { session, .. } => Some(*session),
            Self::Event(_) | Self::Leave(_) => None,
        }
    }
}

impl Masters {
    /// Whether nothing waits for the lease.
    pub(super) fn gate_is_open(&self) -> bool {
        self.gate.is_empty()
    }
}

impl Node {
    /// Finds the master that a session's work is for.
    pub(super) fn route(&mut self, key: Key, work: Work, out: &mut Vec<Output>) {
        if key.1 > self.state.slot(key.0).epoch {
            if let Some(session) = work.session() {
                self.streams.held_back(session, true);
            }
            self.masters.early.entry(key).or_default().push(work);
            return;
        }
        self.work(key, work, out);
    }

    /// Work that came before this server knew the slot's epoch.
    pub(super) fn route_early(&mut self, slot: SlotId, out: &mut Vec<Output>) {
        let epoch = self.state.slot(slot).epoch;
        let keys = self.masters.early.range((slot, Epoch(0))..=(slot, epoch));
        let keys: Vec<Key> = keys.map(|(&key, _)| key).collect();
        for key in keys {
            for work in self.masters.early.remove(&key).unwrap_or_default() {
                if let Some(session) = work.session() {
                    self.streams.held_back(session, false);
                }
                self.work(key, work, out);
            }
        }
    }

    /// Through the gate.
    pub(super) fn work(&mut self, key: Key, work: Work, out: &mut Vec<Output>) {
        if self.lease.holds(self.now) && self.masters.gate.is_empty() {
            return self.do_work(key, work, out);
        }
        if let Work::Operation(operation) = &work
            && words::is_try(&operation.input)
            && let Some(event) = self.try_fails(key, operation)
        {
            return self.tell(operation.session, Some(key), event, out);
        }
        if let Some(session) = work.session() {
            self.streams.held_back(session, true);
        }
        self.masters.gate.push_back((key, work));
    }

    /// What waits at the gate, where the lease holds.
    pub(super) fn open_gate(&mut self, out: &mut Vec<Output>) {
        while self.lease.holds(self.now)
            && let Some((key, work)) = self.masters.gate.pop_front()
        {
            if let Some(session) = work.session() {
                self.streams.held_back(session, false);
            }
            self.do_work(key, work, out);
        }
    }

    /// The answer to an operation that may not wait, where the lease does not hold. One that may have been
    /// applied before, and a lock whose mode is not known, have to wait all the same.
    fn try_fails(&self, key: Key, operation: &Operation) -> Option<Event> {
        let mastered = self.masters.all.get(&key)?;
        let sent_before = mastered.ledger.again(operation.session, operation.op);
        if mastered.master.phase() != PhaseName::Serving || sent_before.is_some() {
            return None;
        }
        let held = match &operation.input {
            Input::Convert { session, lock, .. } => {
                Some(mastered.master.table().held(*session, *lock)?)
            }
            _ => None,
        };
        words::not_done(&operation.input, Status::TryFailed, held)
    }

    fn do_work(&mut self, key: Key, work: Work, out: &mut Vec<Output>) {
        if let Some(work) = self.wait_for_opening(key, work) {
            self.do_opened_work(key, work, out);
        }
    }

    pub(super) fn do_opened_work(&mut self, key: Key, work: Work, out: &mut Vec<Output>) {
        match work {
            Work::Operation(operation) => self.operate(key, operation, out),
            Work::Claims {
                session,
                claims,
                done,
            } => self.claim(key, session, (claims, done), out),
            Work::Event(event) => self.step_master(key, event, out),
            Work::Leave(departure) => self.leave(key, departure, out),
        }
    }

    fn operate(&mut self, key: Key, operation: Operation, out: &mut Vec<Output>) {
        let Operation { session, op, .. } = operation;
        // A session that is not live in the applied state gets nothing.
        if !self.is_live(session) {
            return;
        }
        let Some(mastered) = self.masters.all.get_mut(&key) else {
            return self.not_master(key, session, Some(op), out);
        };
        if let Some(event) = mastered.ledger.again(session, op) {
            return self.tell(session, Some(key), event, out);
        }
        let waits = match mastered.master.phase() {
            // Not even a try: it may be granted in the table that comes.
            PhaseName::Arriving => true,
            PhaseName::Recovering => !words::is_try(&operation.input),
            PhaseName::Serving | PhaseName::Leaving | PhaseName::Broken => false,
        };
        if waits {
            mastered.held.push_back(operation);
            return self.streams.held_back(session, true);
        }
        let (epoch, operation) = (key.1, operation.input);
        self.step_master(key, SlotInput::Operation { epoch, operation }, out);
    }

    fn claim(
        &mut self,
        key: Key,
        session: SessionId,
        (claims, done): (Vec<Claim>, bool),
        out: &mut Vec<Output>,
    ) {
        if !self.is_live(session) {
            return;
        }
        if !self.masters.all.contains_key(&key) {
            return self.not_master(key, session, None, out);
        }
        let (slot, epoch) = key;
        if done {
            // Before what the slot grants when all claims are there.
            self.tell(session, Some(key), Event::ClaimsTaken { slot, epoch }, out);
        }
        let claims = SlotInput::Claims {
            session,
            epoch,
            claims,
            done,
        };
        self.step_master(key, claims, out);
    }

    /// Steps a master, and does what it says.
    pub(super) fn step_master(&mut self, key: Key, input: SlotInput, out: &mut Vec<Output>) {
        let purged = match input {
            SlotInput::Purged { session, .. } => Some(session),
            _ => None,
        };
        if let Some(session) = purged
            && let Some(mastered) = self.masters.all.get_mut(&key)
        {
            mastered.ledger.drop_session(session);
        }
        let said = self.step_recorded(key, input);
        if let Some(session) = purged {
            self.journal.ended(session);
        }
        self.heed(key, said, out);
    }

    /// Does what a master says.
    pub(super) fn heed(&mut self, key: Key, said: Vec<SlotOutput>, out: &mut Vec<Output>) {
        for output in said {
            match output {
                SlotOutput::Table(output) => self.table_says(key, output, out),
                SlotOutput::NotMaster { session, op, .. } => {
                    self.not_master(key, session, op, out);
                }
                SlotOutput::Refused { session, op, .. } => {
                    self.refused(key, session, op, out);
                }
                SlotOutput::Evict { session, why } => {
                    self.masters.evict.insert(session, death(&why));
                    let slot = key.0;
                    out.push(Output::Log(Notice::Evicts { session, slot, why }));
                    self.wishes.hurry();
                }
                SlotOutput::Serving => {
                    // **A master proposes that it serves, after recovery and after arrival.**
                    self.wishes.hurry();
                    self.record_service(key);
                    self.begin_held(key, out);
                }
                SlotOutput::TokensLow => {
                    self.masters.tokens_low.insert(key);
                    self.wishes.hurry();
                }
                SlotOutput::Image(chunk) => self.send_image(key, chunk, out),
                SlotOutput::ImageWanted { chunk } => self.want_image(key, chunk, out),
                SlotOutput::HandedOver { .. } => self.handed_over(key, out),
                SlotOutput::ImageBroken => {
                    let (slot, epoch) = key;
                    out.push(Output::Log(Notice::ImageBroken { slot, epoch }));
                    self.wishes.hurry();
                }
            }
        }
    }

    fn table_says(&mut self, key: Key, output: TableOutput, out: &mut Vec<Output>) {
        if let TableOutput::Purged { session, op, locks } = output {
            return self.purged(key, (session, op), locks, out);
        }
        let (session, event) = words::event(output);
        if let Some(mastered) = self.masters.all.get_mut(&key) {
            match &event {
                Event::Queued { op, lock, serial } => {
                    mastered.ledger.queued(session, *op, *lock, *serial);
                }
                Event::Done(done) => mastered.ledger.done(session, done.op, &event),
                _ => {}
            }
        }
        self.tell(session, Some(key), event, out);
    }

    /// Operations that waited until the slot is served.
    fn begin_held(&mut self, key: Key, out: &mut Vec<Output>) {
        let Some(mastered) = self.masters.all.get_mut(&key) else {
            return;
        };
        for operation in std::mem::take(&mut mastered.held) {
            self.streams.held_back(operation.session, false);
            self.operate(key, operation, out);
        }
    }

    /// Tells a session something, if it lives.
    pub(super) fn tell(
        &mut self,
        session: SessionId,
        at: Option<Key>,
        event: Event,
        out: &mut Vec<Output>,
    ) {
        if self.is_live(session) {
            self.streams.tell(session, at, event, out);
        }
    }

    fn not_master(
        &mut self,
        key: Key,
        session: SessionId,
        op: Option<OpId>,
        out: &mut Vec<Output>,
    ) {
        if let Some(op) = op
            && self.masters.everywhere.contains_key(&(session, op))
        {
            return self.purged(key, (session, op), 0, out);
        }
        let slot = key.0;
        let epoch = self.state.slot(slot).epoch;
        self.tell(
            session,
            Some(key),
            Event::NotMaster { op, slot, epoch },
            out,
        );
    }

    /// A master holds as many tries as it may that name locks it does not know.
    fn refused(&mut self, key: Key, session: SessionId, op: OpId, out: &mut Vec<Output>) {
        let lock = dlm_core::LockId(0);
        let cancel = Input::Cancel { session, op, lock };
        let status = Status::Refused(Refusal::QueueLength);
        if let Some(event) = words::not_done(&cancel, status, None) {
            self.tell(session, Some(key), event, out);
        }
    }

    /// An operation on many locks, for all slots that are mastered here at this moment.
    pub(super) fn everywhere(
        &mut self,
        (session, op): (SessionId, OpId),
        input: &Input,
        out: &mut Vec<Output>,
    ) {
        let keys: BTreeSet<Key> = self.masters.all.keys().copied().collect();
        let keys: BTreeSet<Key> = keys
            .into_iter()
            .filter(|&(slot, epoch)| self.state.slot(slot).epoch == epoch)
            .collect();
        if keys.is_empty() {
            return self.tell(session, None, Event::Purged { op, locks: 0 }, out);
        }
        let asked = (keys.clone(), 0);
        self.masters.everywhere.insert((session, op), asked);
        for key in keys {
            let input = input.clone();
            self.work(key, Work::Operation(Operation { session, op, input }), out);
        }
    }

    fn purged(
        &mut self,
        key: Key,
        (session, op): (SessionId, OpId),
        locks: u32,
        out: &mut Vec<Output>,
    ) {
        let Some((asked, sum)) = self.masters.everywhere.get_mut(&(session, op)) else {
            return;
        };
        if asked.remove(&key) {
            *sum = sum.saturating_add(locks);
        }
        if asked.is_empty() {
            let locks = *sum;
            self.masters.everywhere.remove(&(session, op));
            self.tell(session, None, Event::Purged { op, locks }, out);
        }
    }

    /// Begins to master a slot, as the state says now.
    pub(super) fn begin(&mut self, slot: SlotId, out: &mut Vec<Output>) {
        let at = *self.state.slot(slot);
        let index = self.state.applied();
        let made = self.begin.take().filter(|(of, _)| *of == index);
        let (_, mut begin) = made.unwrap_or_else(|| (index, self.begin_now(slot)));
        (begin.slot, begin.epoch) = (slot, at.epoch);
        let config = Config {
            limits: self.config.limits,
            seed: self.config.seed,
            reassert_us_max: self.config.timing.reassert_us_max,
            waiting_per_session_max: HELD_BACK_MAX,
        };
        let mut said = Vec::new();
        let (master, arrival) = match at.origin {
            Origin::Lost => {
                let master = SlotMaster::recover(self.now, config, &begin, &mut said);
                (master, None)
            }
            Origin::Planned { from } => {
                let master = SlotMaster::arrive(config, &begin, &mut said);
                (master, Some(Arrival::new(from.server)))
            }
        };
        let key = (slot, at.epoch);
        let mastered = Mastered {
            master,
            ledger: Ledger::default(),
            arrival,
            departure: None,
            held: VecDeque::new(),
        };
        self.masters.all.insert(key, mastered);
        self.begin = Some((index, begin));
        self.heed(key, said, out);
    }

    /// What every master begins with whose slot moved with the last entry; made for this one.
    fn begin_now(&self, slot: SlotId) -> Begin {
        let mut open: BTreeMap<SessionId, Vec<LockspaceId>> = BTreeMap::new();
        for (&lockspace, known) in self.state.lockspaces() {
            for &session in &known.sessions {
                open.entry(session).or_default().push(lockspace);
            }
        }
        let members = self.state.sessions().iter().map(|(&session, one)| Member {
            session,
            lockspaces: open.remove(&session).unwrap_or_default(),
            standing: if one.is_live() {
                Standing::Live
            } else {
                Standing::Dead
            },
        });
        let members = members.collect();
        let lockspaces = self.state.lockspaces().iter();
        let lockspaces = lockspaces.map(|(&id, one)| (id, one.options.locks));
        Begin {
            slot,
            epoch: self.state.slot(slot).epoch,
            lockspaces: lockspaces.collect(),
            members,
        }
    }

    /// Drops a master and what waits for it.
    pub(super) fn drop_master(&mut self, key: Key, out: &mut Vec<Output>) {
        let Some(mastered) = self.masters.all.remove(&key) else {
            return;
        };
        self.masters.tokens_low.remove(&key);
        self.journal.left(key.0);
        for operation in mastered.held {
            self.streams.held_back(operation.session, false);
            self.not_master(key, operation.session, Some(operation.op), out);
        }
        let unopened = self.masters.unopened.keys();
        let unopened: Vec<_> = unopened.filter(|(_, of)| *of == key).copied().collect();
        for at in unopened {
            for work in self.no_longer_waits(at) {
                self.do_opened_work(key, work, out);
            }
        }
        let everywhere = self.masters.everywhere.keys().copied();
        for asked in everywhere.collect::<Vec<_>>() {
            self.purged(key, asked, 0, out);
        }
    }

    /// Forgets what a session that is gone had under way.
    pub(super) fn drop_work_of(&mut self, session: SessionId) {
        self.masters.everywhere.retain(|(of, _), _| *of != session);
        self.masters.early.retain(|_, waiting| {
            waiting.retain(|work| work.session() != Some(session));
            !waiting.is_empty()
        });
        self.masters.unopened.retain(|(of, _), _| *of != session);
        self.masters.evict.remove(&session);
    }
}

/// What the log calls it.
const fn death(why: &EvictReason) -> Death {
    match why {
        EvictReason::NoAnswer => Death::NotReasserted,
        EvictReason::Fault { .. } | EvictReason::Excluded { .. } => Death::Contradicted,
    }
}
