//! A client's glocks: the real machines on the real session, with tasks that hold them for a while.
//!
//! What a glock wants of the lock manager goes through the client's [`Book`] like everything else, so that
//! the checkers of locks see it; who holds a glock is a fact of its own.

use std::collections::{BTreeMap, VecDeque};

use dlm_core::link::OperationKind;
use dlm_core::{LockId, Mode, Owner, RequestFlags, Tick};
use glock_core::glock::flags::HolderFlags;
use glock_core::glock::name::GlockName;
use glock_core::glock::state::State;
use glock_core::glock::{Glock, HoldTime, HolderId, Input, Message, Output, Release};
use glock_core::session::{Completion, Input as SessionInput, Ticket as SessionTicket};

use super::super::Random;
use super::book::Book;
use super::coverage::{Seen, Tally};
use crate::checkers::{Fact, Resource, Ticket};

/// How many there are: few, so that they go from client to client.
const GLOCKS: u64 = 3;

/// The most holders of a client.
const HOLDERS_MAX: usize = 6;

/// How long one is held, how long a hook takes, and how long somebody waits who gives up.
const HOLD_US: (u64, u64) = (500, 60_000);
const HOOK_US_MAX: u64 = 6_000;
const PATIENCE_US: (u64, u64) = (100_000, 2_000_000);

/// What a step is taken with.
pub(super) struct Around<'a> {
    pub(super) now: Tick,
    pub(super) random: &'a mut Random,
    pub(super) book: &'a mut Book,
    pub(super) tally: &'a Tally,
    pub(super) facts: &'a mut Vec<Fact>,
    /// What the session is to be told.
    pub(super) wants: Vec<SessionInput>,
}

/// A session's glocks.
#[derive(Debug, Default)]
pub(super) struct Glocks {
    all: BTreeMap<u64, Cached>,
    holders: BTreeMap<HolderId, Holding>,
    /// Operations that are under way, by their glock.
    sent: BTreeMap<SessionTicket, u64>,
    /// Cancels that are under way, and what waits for them: a lock has one operation at a time and its
    /// cancel, and what is cancelled is answered before the cancel is.
    cancels: BTreeMap<SessionTicket, (LockId, u64)>,
    cancelling: BTreeMap<LockId, VecDeque<OperationKind>>,
    next_holder: u64,
}

#[derive(Debug)]
struct Cached {
    glock: Glock,
    lock: LockId,
    /// The hook that runs, and when it ends.
    hook: Option<(Tick, Input)>,
    timer: Option<Tick>,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    glock: u64,
    state: State,
    ticket: Ticket,
    /// When it lets go, or gives up waiting; `None`: it waits for as long as it takes.
    until: Option<Tick>,
    granted: bool,
}

impl Glocks {
    /// When there is something to do without anybody's word.
    pub(super) fn next(&self) -> Option<Tick> {
        let cached = self.all.values();
        let hooks = cached.clone().filter_map(|one| Some(one.hook?.0));
        let timers = cached.filter_map(|one| one.timer);
        let holders = self.holders.values().filter_map(|one| one.until);
        hooks.chain(timers).chain(holders).min()
    }

    /// Time passed.
    pub(super) fn wake(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        for number in self.all.keys().copied().collect::<Vec<_>>() {
            let Some(one) = self.all.get_mut(&number) else {
                continue;
            };
            if let Some((_, done)) = one.hook.take_if(|(at, _)| *at <= now) {
                self.step(number, done, around);
            }
            let due = self.all.get_mut(&number);
            if due.is_some_and(|one| one.timer.take_if(|at| *at <= now).is_some()) {
                self.step(number, Input::Timer, around);
            }
        }
        let due = self.holders.iter();
        let due = due.filter(|(_, one)| one.until.is_some_and(|until| until <= now));
        for (holder, one) in due.map(|(&id, &one)| (id, one)).collect::<Vec<_>>() {
            self.ends(holder, one, around);
        }
    }

    /// A holder lets go, or gives up.
    fn ends(&mut self, holder: HolderId, one: Holding, around: &mut Around<'_>) {
        if !one.granted {
            if let Some(waits) = self.holders.get_mut(&holder) {
                waits.until = None;
            }
            return self.step(one.glock, Input::CancelWait { holder }, around);
        }
        self.holders.remove(&holder);
        around.book.lets_go(one.ticket, around.facts);
        let release = match around.random.per_mille(100) {
            true => Release::Yield,
            false => Release::Normal,
        };
        self.step(one.glock, Input::Dequeue { holder, release }, around);
    }

    /// A task wants one; or one that nobody holds is given back.
    pub(super) fn act(&mut self, around: &mut Around<'_>) {
        let number = around.random.below(GLOCKS);
        let held = self.holders.values().any(|one| one.glock == number);
        if !held && self.all.contains_key(&number) && around.random.per_mille(80) {
            let given_back = match around.random.per_mille(500) {
                true => Input::Demote,
                false => Input::Free,
            };
            return self.step(number, given_back, around);
        }
        if self.holders.len() >= HOLDERS_MAX {
            return;
        }
        let states = [State::Sh, State::Sh, State::Df, State::Ex];
        let state = around.random.pick(&states).unwrap_or(State::Ex);
        let flags = match around.random.below(10) {
            0..2 => HolderFlags::TRY,
            2..5 => HolderFlags::FAULT,
            _ => HolderFlags::empty(),
        };
        self.next_holder += 1;
        let holder = HolderId(self.next_holder);
        let patience_us = around.random.between(PATIENCE_US.0, PATIENCE_US.1);
        let gives_up = around.random.per_mille(100);
        let what = format!("holds glock {number} in {state:?}");
        let holding = Holding {
            glock: number,
            state,
            ticket: around.book.waits(what, around.facts),
            until: gives_up.then(|| around.now.plus(patience_us)),
            granted: false,
        };
        self.holders.insert(holder, holding);
        let owner = Owner(self.next_holder);
        let enqueue = Input::Enqueue {
            holder,
            state,
            flags,
            owner,
        };
        self.step(number, enqueue, around);
    }

    /// Whether an operation is a glock's; it is answered.
    pub(super) fn answered(
        &mut self,
        ticket: SessionTicket,
        completion: &Completion,
        around: &mut Around<'_>,
    ) {
        if let Some(number) = self.sent.remove(&ticket) {
            let reply = Input::Reply {
                status: completion.status,
                mode: completion.mode,
                token: completion.token,
            };
            self.step(number, reply, around);
        }
        if let Some((lock, number)) = self.cancels.remove(&ticket) {
            for kind in self.cancelling.remove(&lock).unwrap_or_default() {
                self.ask(number, kind, around);
            }
        }
    }

    /// Somebody wants a lock.
    pub(super) fn blocked(&mut self, lock: LockId, wanted: Mode, around: &mut Around<'_>) {
        let mut all = self.all.iter();
        if let Some((&number, _)) = all.find(|(_, one)| one.lock == lock) {
            around.tally.saw(Seen::GlockWanted);
            self.step(number, Input::Callback { wanted }, around);
        }
    }

    /// The session is over: every machine is told, and everybody who waits.
    pub(super) fn lost(&mut self, around: &mut Around<'_>) {
        for number in self.all.keys().copied().collect::<Vec<_>>() {
            self.step(number, Input::SessionLost, around);
        }
        let waits = self.holders.values().find(|one| !one.granted);
        assert!(waits.is_none(), "{waits:?} was not told of the loss");
        *self = Self::default();
        around.wants.clear();
    }

    fn step(&mut self, number: u64, input: Input, around: &mut Around<'_>) {
        let one = self.all.entry(number).or_insert_with(|| Cached {
            glock: Glock::new(GlockName::inode(number), HoldTime::GLOCKWORK),
            lock: LockId(0),
            hook: None,
            timer: None,
        });
        let mut said = Vec::new();
        one.glock.step(around.now, input, &mut said);
        // Otherwise it took an answer for one that cannot be, which ends the session.
        let told = input == Input::SessionLost;
        assert!(told || !one.glock.is_lost(), "{input:?}: {:?}", one.glock);
        if let Err(violation) = glock_core::invariants::check(&one.glock) {
            panic!("{violation}: {:?}", one.glock);
        }
        for output in said {
            self.heed(number, output, around);
        }
        if self.all.get(&number).is_some_and(|one| one.glock.is_free()) {
            self.all.remove(&number);
        }
    }

    fn heed(&mut self, number: u64, output: Output, around: &mut Around<'_>) {
        let Some(one) = self.all.get_mut(&number) else {
            return;
        };
        let mut hook = |done, around: &mut Around<'_>| {
            assert!(one.hook.is_none(), "two hooks of glock {number}");
            let ends = around.now.plus(around.random.below(HOOK_US_MAX));
            one.hook = Some((ends, done));
        };
        match output {
            Output::Granted { holder, token } => {
                let holding = self.holders.get_mut(&holder).expect("it waits");
                let held_us = around.random.between(HOLD_US.0, HOLD_US.1);
                (holding.granted, holding.until) = (true, Some(around.now.plus(held_us)));
                let resource = Resource {
                    lockspace: around.book.spaces[0],
                    name: GlockName::inode(number).resource(),
                };
                let (ticket, mode) = (holding.ticket, holding.state.mode());
                around.tally.saw(Seen::GlockHeld);
                around
                    .book
                    .holds(ticket, (resource, mode, token), around.facts);
            }
            Output::Failed { holder, why } => {
                let holding = self.holders.remove(&holder).expect("it waits");
                around.tally.saw(Seen::GlockFailed);
                let why = why.to_string();
                around.book.waited(holding.ticket, why, around.facts);
            }
            Output::Sync => hook(Input::HookDone, around),
            Output::Invalidate { .. } => hook(Input::HookDone, around),
            Output::Instantiate => hook(Input::Instantiated { ok: true }, around),
            Output::Dlm(message) => self.say(number, message, around),
            Output::ArmTimer { at } => one.timer = Some(at),
        }
    }

    fn say(&mut self, number: u64, message: Message, around: &mut Around<'_>) {
        let Some(one) = self.all.get_mut(&number) else {
            return;
        };
        let value = None;
        let kind = match message {
            Message::Request { mode, flags, owner } => {
                one.lock = around.book.new_lock();
                OperationKind::Request {
                    lockspace: around.book.spaces[0],
                    lock: one.lock,
                    name: one.glock.name().resource(),
                    mode,
                    flags,
                    owner,
                }
            }
            Message::Convert { mode, flags, owner } => OperationKind::Convert {
                lock: one.lock,
                mode,
                flags,
                owner,
                value,
            },
            Message::Unlock => OperationKind::Unlock {
                lock: one.lock,
                flags: RequestFlags::empty(),
                value,
            },
            Message::Cancel => OperationKind::Cancel { lock: one.lock },
        };
        self.ask(number, kind, around);
    }

    fn ask(&mut self, number: u64, kind: OperationKind, around: &mut Around<'_>) {
        let lock = kind.lock();
        if let Some(waiting) = self.cancelling.get_mut(&lock) {
            return waiting.push_back(kind);
        }
        let ticket = around.book.asks(around.now, &kind, 0, around.facts);
        if let OperationKind::Cancel { .. } = kind {
            self.cancels.insert(ticket, (lock, number));
            self.cancelling.insert(lock, VecDeque::new());
        } else {
            self.sent.insert(ticket, number);
        }
        around.wants.push(SessionInput::Operate { ticket, kind });
    }
}
