//! The master of one slot.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::conflicts::{Bounds, ClaimFault, Claims, EvictReason, resolve};
use super::image::{Arriving, Image, ImageChunk, ImageStart, StreamPart};
use super::message::{Begin, Config, SlotInput, SlotOutput, SlotRefusal, Standing};
use super::queue::{Held, Operations, asked_by, try_failed};
use super::rebuild::rebuild;
use super::{Claim, claim::Stands};
use crate::ids::{Epoch, LockId, LockspaceId, OpId, SessionId, Tick};
use crate::limits::{TOKENS_LEFT_MIN, TOKENS_RESERVED};
use crate::message::{Input, Output};
use crate::slot::SlotId;
use crate::table::LockTable;

/// Where a master stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseName {
    /// It waits for claims.
    Recovering,
    /// It waits for the table of the master before.
    Arriving,
    /// It serves.
    Serving,
    /// It sends its table to the next master.
    Leaving,
    /// What it was sent does not fit together; it does nothing more.
    Broken,
}

/// One slot at its master.
#[derive(Clone, Debug)]
pub struct SlotMaster {
    config: Config,
    slot: SlotId,
    epoch: Epoch,
    phase: Phase,
    table: LockTable,
    members: BTreeMap<SessionId, Known>,
    /// Sessions whose locks are not known, dead or about to be, and where they may have some.
    unknown: BTreeMap<SessionId, BTreeSet<LockspaceId>>,
    operations: Operations,
    tokens_low: bool,
}

/// What is known of a session.
#[derive(Clone, Debug, Default)]
struct Known {
    lockspaces: BTreeSet<LockspaceId>,
    /// Nothing that it asks is done any more.
    dead: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Recovering(Recovering),
    /// What is there so far, and the number of the next piece; events of sessions wait, as the table is
    /// that of the log entry that moved the slot.
    Arriving {
        arriving: Arriving,
        next: u32,
        streams: Vec<StreamPart>,
        events: Vec<SlotInput>,
    },
    Serving,
    Leaving(Image),
    Broken,
}

#[derive(Clone, Debug)]
struct Recovering {
    /// Who has not said all yet; and whether that was reported.
    awaited: BTreeMap<SessionId, bool>,
    claims: Claims,
    claimed: BTreeSet<(SessionId, LockId)>,
    since: Tick,
}

impl SlotMaster {
    /// The master of a slot whose master before was lost. All sessions that live at the log entry must
    /// say what they have; with none the slot is served at once.
    #[must_use]
    pub fn recover(now: Tick, config: Config, begin: &Begin, out: &mut Vec<SlotOutput>) -> Self {
        let awaited = begin.members.iter();
        let awaited = awaited.filter(|member| member.standing == Standing::Live);
        let recovering = Recovering {
            awaited: awaited.map(|member| (member.session, false)).collect(),
            claims: Claims::new(),
            claimed: BTreeSet::new(),
            since: now,
        };
        let mut master = Self::new(config, begin, Phase::Recovering(recovering));
        for member in &begin.members {
            if member.standing == Standing::Dead {
                let lockspaces = member.lockspaces.iter().copied().collect();
                master.unknown.insert(member.session, lockspaces);
            }
        }
        master.complete(now, out);
        master
    }

    /// The master of a slot that moves as planned: it asks for the table of the master before.
    #[must_use]
    pub fn arrive(config: Config, begin: &Begin, out: &mut Vec<SlotOutput>) -> Self {
        out.push(SlotOutput::ImageWanted { chunk: 0 });
        let phase = Phase::Arriving {
            arriving: Arriving::default(),
            next: 0,
            streams: Vec::new(),
            events: Vec::new(),
        };
        Self::new(config, begin, phase)
    }

    fn new(config: Config, begin: &Begin, phase: Phase) -> Self {
        let mut master = Self {
            config,
            slot: begin.slot,
            epoch: begin.epoch,
            phase,
            table: LockTable::for_epoch(config.limits, config.seed, begin.epoch),
            members: BTreeMap::new(),
            unknown: BTreeMap::new(),
            operations: Operations::default(),
            tokens_low: false,
        };
        for &(lockspace, options) in &begin.lockspaces {
            master.tell(Input::ConfigureLockspace { lockspace, options });
        }
        for member in &begin.members {
            let session = member.session;
            let known = Known {
                lockspaces: member.lockspaces.iter().copied().collect(),
                dead: member.standing == Standing::Dead,
            };
            master.members.insert(session, known);
            master.tell(Input::SessionStarted { session });
            for &lockspace in &member.lockspaces {
                master.tell(Input::OpenLockspace { session, lockspace });
            }
        }
        master
    }

    /// Which slot.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// Under which epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> PhaseName {
        match self.phase {
            Phase::Recovering(_) => PhaseName::Recovering,
            Phase::Arriving { .. } => PhaseName::Arriving,
            Phase::Serving => PhaseName::Serving,
            Phase::Leaving(_) => PhaseName::Leaving,
            Phase::Broken => PhaseName::Broken,
        }
    }

    /// The slot's table: to look at. It is empty while the slot recovers.
    #[must_use]
    pub const fn table(&self) -> &LockTable {
        &self.table
    }

    /// The sessions that have not said yet what they have.
    pub fn awaited(&self) -> impl Iterator<Item = SessionId> {
        let recovering = match &self.phase {
            Phase::Recovering(recovering) => Some(recovering),
            _ => None,
        };
        recovering
            .into_iter()
            .flat_map(|it| it.awaited.keys().copied())
    }

    /// The dead sessions whose locks are not known, and the lockspaces that are closed until they are
    /// purged.
    pub fn unknown(&self) -> impl Iterator<Item = (SessionId, &BTreeSet<LockspaceId>)> {
        self.unknown.iter().map(|(&session, open)| (session, open))
    }

    /// Takes one input and appends what has to be sent or done. `now` never goes back.
    pub fn step(&mut self, now: Tick, input: SlotInput, out: &mut Vec<SlotOutput>) {
        match input {
            SlotInput::Claims {
                session,
                epoch,
                claims,
                done,
            } => self.claims(now, (session, epoch), claims, done, out),
            SlotInput::Operation { epoch, operation } => {
                self.operation(now, epoch, operation, out);
            }
            SlotInput::EndWait {
                session,
                lock,
                serial,
            } => {
                if matches!(self.phase, Phase::Serving) {
                    let input = Input::EndWait {
                        session,
                        lock,
                        serial,
                    };
                    self.serve(now, input, out);
                }
            }
            SlotInput::PurgeOrphans {
                session,
                lockspace,
                owner,
            } => {
                let lives = self
                    .members
                    .get(&session)
                    .is_some_and(|member| !member.dead);
                if lives && matches!(self.phase, Phase::Serving) {
                    let input = Input::PurgeOrphans {
                        session,
                        op: OpId(0),
                        lockspace,
                        owner,
                    };
                    self.serve(now, input, out);
                }
            }
            SlotInput::Clock => self.clock(now, out),
            SlotInput::Leave { streams } => self.leave(now, streams, out),
            SlotInput::ImageWanted { chunk } => self.send_image(now, chunk, out),
            SlotInput::Image(chunk) => self.image(now, chunk, out),
            event => match &mut self.phase {
                Phase::Arriving { events, .. } => events.push(event),
                Phase::Leaving(_) | Phase::Broken => {}
                Phase::Recovering(_) | Phase::Serving => {
                    self.event(now, event, out);
                    self.complete(now, out);
                }
            },
        }
    }

    /// An event of a session or a lockspace.
    fn event(&mut self, now: Tick, event: SlotInput, out: &mut Vec<SlotOutput>) {
        match event {
            SlotInput::Joined { session } => {
                self.members.entry(session).or_default();
                self.tell(Input::SessionStarted { session });
            }
            SlotInput::Died { session } => self.died(session),
            SlotInput::Purged { session, dirty } => self.purged(now, session, dirty, out),
            SlotInput::LockspaceOpened {
                session,
                lockspace,
                options,
            } => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.lockspaces.insert(lockspace);
                }
                self.tell(Input::ConfigureLockspace { lockspace, options });
                self.tell(Input::OpenLockspace { session, lockspace });
            }
            SlotInput::LockspaceLeft { session, lockspace } => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.lockspaces.remove(&lockspace);
                }
                if let Phase::Recovering(recovering) = &mut self.phase
                    && let Some(claims) = recovering.claims.get_mut(&session)
                {
                    claims.retain(|claim| claim.lockspace != lockspace);
                }
                let mut outputs = Vec::new();
                let op = OpId(0);
                let leave = Input::LeaveLockspace {
                    session,
                    op,
                    lockspace,
                };
                self.table.step(now, leave, &mut outputs);
                // Nobody asked.
                outputs.retain(|output| !matches!(output, Output::Purged { .. }));
                out.extend(outputs.into_iter().map(SlotOutput::Table));
            }
            SlotInput::LockspaceEnded { lockspace } => {
                self.tell(Input::LockspaceEnded { lockspace });
            }
            _ => {}
        }
    }

    /// What it claimed completely is known, and stays until it is purged; else nothing is.
    fn died(&mut self, session: SessionId) {
        let Some(member) = self.members.get_mut(&session) else {
            return;
        };
        member.dead = true;
        self.operations.drop_session(session);
        if let Phase::Recovering(recovering) = &mut self.phase
            && recovering.awaited.remove(&session).is_some()
        {
            recovering.claims.remove(&session);
            self.unknown.insert(session, member.lockspaces.clone());
        }
    }

    fn purged(&mut self, now: Tick, session: SessionId, dirty: bool, out: &mut Vec<SlotOutput>) {
        self.members.remove(&session);
        self.operations.drop_session(session);
        self.unknown.remove(&session);
        if let Phase::Recovering(recovering) = &mut self.phase {
            recovering.awaited.remove(&session);
            recovering.claims.remove(&session);
        }
        let mut outputs = Vec::new();
        if dirty {
            let ended = Input::SessionEnded { session };
            self.table.step(now, ended, &mut outputs);
        } else {
            self.table.session_left(now, session, &mut outputs);
        }
        if matches!(self.phase, Phase::Serving) {
            self.close_unknown(now, &mut outputs);
        }
        out.extend(outputs.into_iter().map(SlotOutput::Table));
    }

    /// Closes the lockspaces in which somebody may have locks that are not known, and opens the others.
    fn close_unknown(&mut self, now: Tick, out: &mut Vec<Output>) {
        let wanted: BTreeSet<LockspaceId> = self.unknown.values().flatten().copied().collect();
        let open: Vec<LockspaceId> = self.table.closed.difference(&wanted).copied().collect();
        for lockspace in open {
            self.table.set_closed(now, lockspace, false, out);
        }
        for lockspace in wanted {
            self.table.set_closed(now, lockspace, true, out);
        }
    }

    fn claims(
        &mut self,
        now: Tick,
        (session, epoch): (SessionId, Epoch),
        claims: Vec<Claim>,
        done: bool,
        out: &mut Vec<SlotOutput>,
    ) {
        let Some(member) = self.members.get(&session).filter(|member| !member.dead) else {
            return;
        };
        if epoch != self.epoch {
            return out.push(SlotOutput::NotMaster {
                session,
                op: None,
                epoch: self.epoch,
            });
        }
        let Phase::Recovering(recovering) = &mut self.phase else {
            return;
        };
        let bounds = Bounds {
            slot: self.slot,
            epoch: self.epoch,
            limits: &self.config.limits,
            open: &member.lockspaces,
        };
        for claim in claims {
            let before = recovering.claims.get(&session).map_or(0, Vec::len);
            let length = self.table.value_length(claim.lockspace);
            let lock = claim.lock;
            let checked = if !recovering.awaited.contains_key(&session) {
                Err(ClaimFault::NotAsked)
            } else if recovering.claimed.insert((session, lock)) {
                bounds.check(&claim, before, length)
            } else {
                Err(ClaimFault::LockTwice)
            };
            if let Err(fault) = checked {
                self.evict(session, EvictReason::Fault { lock, fault }, out);
                return self.complete(now, out);
            }
            recovering.claims.entry(session).or_default().push(claim);
        }
        if done {
            recovering.awaited.remove(&session);
        }
        self.complete(now, out);
    }

    /// The session goes with all that it claimed: from now on that is not known.
    fn evict(&mut self, session: SessionId, why: EvictReason, out: &mut Vec<SlotOutput>) {
        if let Some(member) = self.members.get_mut(&session) {
            member.dead = true;
            self.unknown.insert(session, member.lockspaces.clone());
        }
        if let Phase::Recovering(recovering) = &mut self.phase {
            recovering.awaited.remove(&session);
            recovering.claims.remove(&session);
        }
        self.operations.drop_session(session);
        out.push(SlotOutput::Evict { session, why });
    }

    /// Serves, where all have answered.
    fn complete(&mut self, now: Tick, out: &mut Vec<SlotOutput>) {
        let Phase::Recovering(recovering) = &mut self.phase else {
            return;
        };
        if !recovering.awaited.is_empty() {
            return;
        }
        let mut claims = core::mem::take(&mut recovering.claims);
        for (session, why) in resolve(&mut claims, &self.config.limits) {
            self.evict(session, why, out);
        }
        let mut outputs = Vec::new();
        self.close_unknown(now, &mut outputs);
        rebuild(&mut self.table, now, &claims, &mut outputs);
        out.extend(outputs.into_iter().map(SlotOutput::Table));
        self.begin_serving(now, out);
    }

    fn begin_serving(&mut self, now: Tick, out: &mut Vec<SlotOutput>) {
        self.phase = Phase::Serving;
        out.push(SlotOutput::Serving);
        while let Some(operation) = self.operations.pop() {
            self.serve(now, operation, out);
        }
    }

    fn operation(&mut self, now: Tick, epoch: Epoch, input: Input, out: &mut Vec<SlotOutput>) {
        let Some((session, op)) = asked_by(&input) else {
            return;
        };
        if self.members.get(&session).is_some_and(|member| member.dead) {
            return;
        }
        let left = matches!(self.phase, Phase::Leaving(_) | Phase::Broken);
        if epoch != self.epoch || left {
            let op = Some(op);
            let epoch = self.epoch;
            return out.push(SlotOutput::NotMaster { session, op, epoch });
        }
        if matches!(self.phase, Phase::Serving) && self.table.tokens_left() >= TOKENS_RESERVED {
            return self.serve(now, input, out);
        }
        if let Some(answer) = try_failed(&input, |session, lock| self.held(session, lock)) {
            return out.push(SlotOutput::Table(answer));
        }
        let max = self.config.waiting_per_session_max;
        if !self.operations.push(session, input, max) {
            let why = SlotRefusal::Waiting;
            out.push(SlotOutput::Refused { session, op, why });
        }
    }

    /// What a lock holds, as far as that is known.
    fn held(&self, session: SessionId, lock: LockId) -> Option<Held> {
        if let Phase::Recovering(recovering) = &self.phase {
            let mut claims = recovering.claims.get(&session)?.iter();
            let claim = claims.find(|claim| claim.lock == lock)?;
            let at_rest = matches!(claim.stands, Stands::Granted { .. });
            let held = claim.held().filter(|_| at_rest)?;
            return Some((held, claim.token, claim.value_sequence));
        }
        let key = self.table.find(session, lock).ok()?;
        let lock = &self.table.locks[key];
        let value = self.table.resources[lock.resource].value_sequence();
        Some((lock.granted?, lock.token, value))
    }

    fn serve(&mut self, now: Tick, operation: Input, out: &mut Vec<SlotOutput>) {
        let mut outputs = Vec::new();
        self.table.step(now, operation, &mut outputs);
        out.extend(outputs.into_iter().map(SlotOutput::Table));
        if !self.tokens_low && self.table.tokens_left() < TOKENS_LEFT_MIN {
            self.tokens_low = true;
            out.push(SlotOutput::TokensLow);
        }
    }

    fn clock(&mut self, now: Tick, out: &mut Vec<SlotOutput>) {
        let Phase::Recovering(recovering) = &mut self.phase else {
            return;
        };
        if now.since(recovering.since) < self.config.reassert_us_max {
            return;
        }
        for (&session, reported) in &mut recovering.awaited {
            if !core::mem::replace(reported, true) {
                let why = EvictReason::NoAnswer;
                out.push(SlotOutput::Evict { session, why });
            }
        }
    }

    fn leave(&mut self, now: Tick, streams: Vec<StreamPart>, out: &mut Vec<SlotOutput>) {
        if !matches!(self.phase, Phase::Serving) {
            return;
        }
        // What still waits here was never begun: it is sent again to the next master.
        while let Some(operation) = self.operations.pop() {
            if let Some((session, op)) = asked_by(&operation) {
                let (op, epoch) = (Some(op), self.epoch);
                out.push(SlotOutput::NotMaster { session, op, epoch });
            }
        }
        let unknown = self.unknown.iter();
        let unknown = unknown.map(|(&session, open)| (session, open.iter().copied().collect()));
        let start = ImageStart {
            streams,
            unknown: unknown.collect(),
        };
        self.phase = Phase::Leaving(Image::new(&self.table, start));
        self.send_image(now, 0, out);
    }

    fn send_image(&self, now: Tick, chunk: u32, out: &mut Vec<SlotOutput>) {
        if let Phase::Leaving(image) = &self.phase {
            let chunk = image.chunk(&self.table, now, chunk);
            out.extend(chunk.map(SlotOutput::Image));
        }
    }

    fn image(&mut self, now: Tick, chunk: ImageChunk, out: &mut Vec<SlotOutput>) {
        let Phase::Arriving {
            arriving,
            next,
            streams,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if chunk.number != *next {
            return;
        }
        *next += 1;
        let next = *next;
        if let Some(start) = chunk.start {
            *streams = start.streams;
            let unknown = start.unknown.into_iter();
            self.unknown = unknown
                .map(|(session, open)| (session, open.into_iter().collect()))
                .collect();
            let wanted: Vec<LockspaceId> = self.unknown.values().flatten().copied().collect();
            for lockspace in wanted {
                self.table.set_closed(now, lockspace, true, &mut Vec::new());
            }
        }
        let mut entries = chunk.entries.into_iter();
        let put = entries.try_for_each(|entry| arriving.entry(&mut self.table, now, entry));
        if put.is_err() {
            self.phase = Phase::Broken;
            return out.push(SlotOutput::ImageBroken);
        }
        if chunk.last {
            return self.arrived(now, out);
        }
        out.push(SlotOutput::ImageWanted { chunk: next });
    }

    fn arrived(&mut self, now: Tick, out: &mut Vec<SlotOutput>) {
        let phase = core::mem::replace(&mut self.phase, Phase::Broken);
        let Phase::Arriving {
            arriving,
            streams,
            events,
            ..
        } = phase
        else {
            return;
        };
        if arriving.end(&mut self.table, now).is_err() {
            return out.push(SlotOutput::ImageBroken);
        }
        self.phase = Phase::Serving;
        out.push(SlotOutput::HandedOver { streams });
        for event in events {
            self.event(now, event, out);
        }
        self.begin_serving(now, out);
    }

    /// Tells the table something that has no outputs.
    fn tell(&mut self, input: Input) {
        self.table.step(Tick(0), input, &mut Vec::new());
    }
}
