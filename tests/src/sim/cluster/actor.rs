//! What a client does next: few resources, so that it is in the others' way.

use dlm_core::cluster::Name;
use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::value::{Transfer, VALUE_BYTES_DEFAULT};
use dlm_core::{LockId, Mode, Owner, RequestFlags, ResourceName, Tick, ValueBlock};
use glock_core::session::Input;

use super::super::Random;
use super::book::Book;
use crate::checkers::Fact;

/// The lockspaces, and the resources in each.
const LOCKSPACES: usize = 2;
const RESOURCES: u64 = 2;

/// The most locks that a client has or waits for.
const LOCKS_MAX: usize = 4;

/// How long it does nothing between two acts.
const PAUSE_US_MAX: u64 = 120_000;

/// How long it waits for a lock at most before it gives up: there is no order in which clients take
/// locks, so some wait for each other.
const PATIENCE_US_MAX: u64 = 1_500_000;

/// What clients do most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taste {
    /// Everything.
    Any,
    /// They keep their locks and convert them, also where they wait for each other.
    Converts,
    /// They open one lockspace more now and then, and leave it again; it ends when nobody has it open.
    Spaces,
    /// They have glocks, and tasks that hold them.
    Glocks,
}

impl Taste {
    /// That of a seed.
    pub(super) const fn of(seed: u64) -> Self {
        match seed / 16 % 4 {
            3 => Self::Converts,
            2 => Self::Spaces,
            1 => Self::Glocks,
            _ => Self::Any,
        }
    }

    /// Of ten acts on a lock that is held, so many convert it; and so many either that or end it.
    const fn acts(self) -> (u64, u64) {
        match self {
            Self::Any | Self::Spaces | Self::Glocks => (3, 5),
            Self::Converts => (8, 9),
        }
    }
}

/// A client's will.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    taste: Taste,
    /// When it acts next.
    pub(super) next: Tick,
    /// It gives everything back and says goodbye.
    leaving: bool,
    /// It asks for nothing any more.
    pub(super) finishing: bool,
    values: u64,
}

impl Actor {
    pub(super) const fn new(now: Tick, taste: Taste) -> Self {
        Self {
            taste,
            next: now,
            leaving: false,
            finishing: false,
            values: 0,
        }
    }

    /// A new session: everything begins again.
    pub(super) const fn begins(&mut self, now: Tick) {
        self.next = now;
        self.leaving = false;
    }

    /// Whether its tasks may want glocks now.
    pub(super) fn has_glocks(&self, book: &Book) -> bool {
        let ready = book.joined && book.spaces.len() >= LOCKSPACES;
        self.taste == Taste::Glocks && ready && !self.finishing
    }

    /// What it wants now of its session.
    pub(super) fn act(
        &mut self,
        now: Tick,
        random: &mut Random,
        book: &mut Book,
        facts: &mut Vec<Fact>,
    ) -> Option<Input> {
        self.next = now.plus(random.between(5_000, PAUSE_US_MAX));
        if !book.joined || book.waits_for_calls() {
            return None;
        }
        if book.spaces.len() < LOCKSPACES && !self.finishing {
            return Some(opens(book, facts));
        }
        if self.taste == Taste::Glocks {
            return None;
        }
        if self.taste == Taste::Spaces
            && let Some(input) = self.comes_and_goes(random, book, facts)
        {
            return Some(input);
        }
        if !self.finishing && random.per_mille(4) {
            self.leaving = true;
        }
        if self.leaving && book.locks.is_empty() {
            return Some(Input::Goodbye);
        }
        let (kind, patience_us) = self.operation(now, random, book)?;
        let ticket = book.asks(now, &kind, patience_us, facts);
        Some(Input::Operate { ticket, kind })
    }

    /// One lockspace more is opened, or left where no lock is in it.
    fn comes_and_goes(
        self,
        random: &mut Random,
        book: &mut Book,
        facts: &mut Vec<Fact>,
    ) -> Option<Input> {
        if book.spaces.len() <= LOCKSPACES {
            let wants = !self.finishing && !self.leaving && random.per_mille(60);
            return wants.then(|| opens(book, facts));
        }
        let lockspace = book.unused().filter(|_| random.per_mille(200))?;
        Some(Input::Everywhere {
            ticket: book.leaves(facts),
            kind: EverywhereKind::LeaveLockspace { lockspace },
        })
    }

    fn operation(
        &mut self,
        now: Tick,
        random: &mut Random,
        book: &mut Book,
    ) -> Option<(OperationKind, u64)> {
        let patience_us = random.between(50_000, PATIENCE_US_MAX);
        let kind = self
            .gives_up(now, random, book)
            .or_else(|| self.gives_way(random, book))
            .or_else(|| self.wants_more(random, book))?;
        Some((kind, patience_us))
    }

    /// A wait that took too long; where all is to come to its end nobody gives up.
    fn gives_up(&self, now: Tick, random: &mut Random, book: &Book) -> Option<OperationKind> {
        let mut waits = book.locks.iter();
        let is_over = |since: Tick, us| now.since(since) > us && !self.finishing;
        let late = waits.find(|(_, mine)| mine.waits() && is_over(mine.since, mine.patience_us));
        let (&lock, _) = late?;
        Some(if random.per_mille(600) {
            OperationKind::Cancel { lock }
        } else {
            let flags = RequestFlags::FORCEUNLOCK;
            let value = None;
            OperationKind::Unlock { lock, flags, value }
        })
    }

    /// A lock that somebody wants, or any where it leaves.
    fn gives_way(&mut self, random: &mut Random, book: &Book) -> Option<OperationKind> {
        let mut idle = book.locks.iter().filter(|(_, mine)| mine.is_idle());
        let all = self.leaving && !self.finishing;
        let (&lock, mine) = idle.find(|(_, mine)| mine.blocked || all)?;
        let held = mine.held()?;
        if !all && !self.finishing && random.per_mille(700) {
            return None;
        }
        if !all && !self.finishing && held.0 != Mode::Nl && random.per_mille(300) {
            return Some(self.convert(random, lock, held, Mode::Nl));
        }
        Some(self.unlock(random, lock, held))
    }

    fn wants_more(&mut self, random: &mut Random, book: &mut Book) -> Option<OperationKind> {
        if self.leaving || self.finishing {
            return None;
        }
        let idle = book.locks.iter().filter(|(_, mine)| mine.is_idle());
        let idle: Vec<(LockId, (Mode, bool))> = idle
            .filter_map(|(&lock, mine)| Some((lock, mine.held()?)))
            .collect();
        let wanted = random.below(10);
        let (converts, ends) = self.taste.acts();
        match random.pick(&idle) {
            Some((lock, held)) if wanted < converts => {
                let to = self.mode(random);
                Some(self.convert(random, lock, held, to))
            }
            Some((lock, held)) if wanted < ends => Some(self.unlock(random, lock, held)),
            _ if book.locks.len() < LOCKS_MAX => Some(self.request(random, book)),
            _ => None,
        }
    }

    /// Any mode; those that exclude much more often.
    fn mode(self, random: &mut Random) -> Mode {
        let modes = [
            Mode::Nl,
            Mode::Cr,
            Mode::Cw,
            Mode::Pr,
            Mode::Pr,
            Mode::Pw,
            Mode::Ex,
            Mode::Ex,
        ];
        random.pick(&modes).unwrap_or(Mode::Ex)
    }

    fn request(self, random: &mut Random, book: &mut Book) -> OperationKind {
        let mode = self.mode(random);
        let space = random.below(book.spaces.len() as u64) as usize;
        let name = format!("resource {}", random.below(RESOURCES));
        let mut flags = RequestFlags::empty();
        match random.below(20) {
            0..3 => {
                flags |= RequestFlags::NOQUEUE;
                flags.set(RequestFlags::NOQUEUEBAST, random.per_mille(500));
            }
            3 => flags |= RequestFlags::HEADQUE,
            4 => flags |= RequestFlags::NOORDER,
            5 if mode == Mode::Nl => flags |= RequestFlags::EXPEDITE,
            6 => flags |= RequestFlags::ALTPR,
            7 => flags |= RequestFlags::ALTCW,
            _ => {}
        }
        flags.set(RequestFlags::VALBLK, random.per_mille(600));
        OperationKind::Request {
            lockspace: book.spaces[space],
            lock: book.new_lock(),
            name: ResourceName::new(name.as_bytes()).expect("a name"),
            mode,
            flags,
            owner: Owner(0),
        }
    }

    fn convert(
        &mut self,
        random: &mut Random,
        lock: LockId,
        (from, values): (Mode, bool),
        to: Mode,
    ) -> OperationKind {
        let mut flags = RequestFlags::empty();
        let writes = Transfer::of(Some(from), to) == Transfer::Write;
        let kind = random.below(12);
        match kind {
            0..2 => flags |= RequestFlags::NOQUEUE,
            2..6 => flags |= RequestFlags::CONVDEADLK,
            6 if !from.is_down_to(to) => flags |= RequestFlags::QUECVT,
            7 if !writes => flags |= RequestFlags::ALTPR,
            8 if !writes => flags |= RequestFlags::ALTCW,
            _ => {}
        }
        let mut value = None;
        if kind != 7 && kind != 8 {
            value = self.values(random, (writes, values), &mut flags);
            // It would stay with the lock, and an unlock's value be none.
            flags.set(
                RequestFlags::IVVALBLK,
                flags.contains(RequestFlags::IVVALBLK) && to < Mode::Pw,
            );
            flags.set(RequestFlags::VALBLK, value.is_some() || values && !writes);
        }
        OperationKind::Convert {
            lock,
            mode: to,
            flags,
            owner: Owner(0),
            value,
        }
    }

    fn unlock(
        &mut self,
        random: &mut Random,
        lock: LockId,
        (from, values): (Mode, bool),
    ) -> OperationKind {
        let mut flags = RequestFlags::empty();
        let writes = matches!(from, Mode::Pw | Mode::Ex);
        let value = self.values(random, (writes, values), &mut flags);
        OperationKind::Unlock { lock, flags, value }
    }

    /// A value that no other is like, or that there is none.
    fn values(
        &mut self,
        random: &mut Random,
        (writes, values): (bool, bool),
        flags: &mut RequestFlags,
    ) -> Option<ValueBlock> {
        if !writes {
            return None;
        }
        match random.below(10) {
            0..5 if values => {
                *flags |= RequestFlags::VALBLK;
                self.values += 1;
                let mut bytes = [0; VALUE_BYTES_DEFAULT];
                bytes[..8].copy_from_slice(&random.draw().to_le_bytes());
                bytes[8..16].copy_from_slice(&self.values.to_le_bytes());
                Some(ValueBlock::new(&bytes).expect("it fits"))
            }
            5 => {
                *flags |= RequestFlags::IVVALBLK;
                None
            }
            _ => None,
        }
    }
}

/// The next lockspace is opened.
fn opens(book: &mut Book, facts: &mut Vec<Fact>) -> Input {
    let text = format!("lockspace {}", book.spaces.len());
    let ticket = book.called(format!("opens {text}"), facts);
    Input::OpenLockspace {
        ticket,
        name: Name::new(text).expect("a name"),
        options: None,
    }
}
