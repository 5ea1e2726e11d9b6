//! One resource of the model: three lists of locks, every rule a scan over them.
//!
//! It is written from the rules as fs/dlm's comments and the recordings give them, lock by lock, without
//! the counts, the shortcuts and the queues of the real one.

use std::collections::BTreeMap;

use dlm_core::deadlock::Queue;
use dlm_core::{LockId, Mode, OpId, Output, Owner, Refusal, RequestFlags as F, SessionId};
use dlm_core::{Status, StatusFlags, Token, ValueBlock};

pub(crate) type Id = (SessionId, LockId);

#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) id: Id,
    pub(crate) owner: Owner,
    pub(crate) op: OpId,
    pub(crate) flags: F,
    pub(crate) granted: Option<Mode>,
    pub(crate) requested: Option<Mode>,
    pub(crate) told: Mode,
    pub(crate) status: StatusFlags,
    pub(crate) orphan: bool,
    pub(crate) values_seen: bool,
    pub(crate) values_attached: bool,
    pub(crate) given: Option<ValueBlock>,
}

#[derive(Default)]
pub(crate) struct Resource {
    pub(crate) granted: Vec<Lock>,
    pub(crate) converting: Vec<Lock>,
    pub(crate) waiting: Vec<Lock>,
    pub(crate) value: Option<ValueBlock>,
    pub(crate) invalid: bool,
}

/// What a step collects.
pub(crate) struct Step<'a> {
    pub(crate) out: &'a mut Vec<Output>,
    /// While many locks go: the last callback to each since its last answer.
    pub(crate) called: Option<&'a mut BTreeMap<Id, Mode>>,
    pub(crate) queue_length_max: usize,
}

enum Can {
    Grant(Mode),
    Demote,
    Deadlock,
    Not,
}

impl Step<'_> {
    pub(crate) fn answer(
        &mut self,
        lock: &Lock,
        op: OpId,
        status: Status,
        value: Option<ValueBlock>,
    ) {
        if let Some(called) = &mut self.called {
            called.remove(&lock.id);
        }
        self.out.push(Output::Done {
            session: lock.id.0,
            op,
            lock: lock.id.1,
            status,
            mode: lock.granted,
            token: Token(0),
            flags: lock.status,
            value,
            value_sequence: 0,
        });
    }

    fn call(&mut self, lock: &mut Lock, mode: Mode, told: Mode) {
        lock.told = told;
        // A callback for a mode that goes with what the lock was last told it has is not delivered.
        if lock.orphan || lock.granted.is_some_and(|held| held.compatible(mode)) {
            return;
        }
        if let Some(called) = &mut self.called {
            let last = called.get(&lock.id).copied();
            if last.is_some_and(|last| last == mode || (last > mode && last > Mode::Pr)) {
                return;
            }
            called.insert(lock.id, mode);
        }
        self.out.push(Output::Blocking {
            session: lock.id.0,
            lock: lock.id.1,
            mode,
        });
    }
}

impl Resource {
    pub(crate) fn all(&self) -> impl Iterator<Item = (Queue, &Lock)> {
        let granted = self.granted.iter().map(|lock| (Queue::Granted, lock));
        let converting = self.converting.iter().map(|lock| (Queue::Converting, lock));
        let waiting = self.waiting.iter().map(|lock| (Queue::Waiting, lock));
        granted.chain(converting).chain(waiting)
    }

    pub(crate) fn find(&self, id: Id) -> Option<(Queue, &Lock)> {
        self.all().find(|(_, lock)| lock.id == id)
    }

    pub(crate) fn find_mut(&mut self, id: Id) -> Option<&mut Lock> {
        let lists = [&mut self.granted, &mut self.converting, &mut self.waiting];
        lists.into_iter().flatten().find(|lock| lock.id == id)
    }

    fn take(&mut self, id: Id) -> (Queue, Lock) {
        let lists = [
            (Queue::Granted, &mut self.granted),
            (Queue::Converting, &mut self.converting),
            (Queue::Waiting, &mut self.waiting),
        ];
        for (queue, list) in lists {
            if let Some(index) = list.iter().position(|lock| lock.id == id) {
                return (queue, list.remove(index));
            }
        }
        panic!("{id:?} stands nowhere")
    }

    fn fits(&self, lock: &Lock, mode: Mode) -> bool {
        let holders = self.granted.iter().chain(&self.converting);
        let mut others = holders.filter(|other| other.id != lock.id);
        others.all(|other| other.granted.is_none_or(|held| held.compatible(mode)))
    }

    fn can_in(&self, lock: &Lock, mode: Mode, arrives: bool) -> bool {
        if lock.flags.contains(F::EXPEDITE) {
            return true;
        }
        let first_of = |list: &[Lock]| list.first().is_some_and(|first| first.id == lock.id);
        let converts = lock.granted.is_some();
        self.fits(lock, mode)
            && match (converts, arrives) {
                (true, true) => !lock.flags.contains(F::QUECVT) || self.converting.is_empty(),
                _ if lock.flags.contains(F::NOORDER) => true,
                (true, false) => first_of(&self.converting),
                (false, true) => self.converting.is_empty() && self.waiting.is_empty(),
                (false, false) => self.converting.is_empty() && first_of(&self.waiting),
            }
    }

    fn waits_for_itself(&self, lock: &Lock) -> bool {
        let stops = |one: &Lock, other: &Lock| match (one.granted, other.requested) {
            (Some(held), Some(wanted)) => !held.compatible(wanted),
            _ => false,
        };
        let own_place = self.converting.iter().position(|other| other.id == lock.id);
        self.converting.iter().enumerate().any(|(place, other)| {
            let is_ahead = own_place.is_none_or(|own| place < own);
            other.id != lock.id && stops(lock, other) && (is_ahead || stops(other, lock))
        })
    }

    fn can(&self, lock: &Lock, arrives: bool) -> Can {
        let wanted = lock.requested.expect("it wants something");
        if self.can_in(lock, wanted, arrives) {
            return Can::Grant(wanted);
        }
        let may_queue = !lock.flags.contains(F::NOQUEUE);
        if lock.granted.is_some() && may_queue && self.waits_for_itself(lock) {
            return match lock.flags.contains(F::CONVDEADLK) {
                true => Can::Demote,
                false => Can::Deadlock,
            };
        }
        let other = if wanted != Mode::Pr && lock.flags.contains(F::ALTPR) {
            Mode::Pr
        } else if wanted != Mode::Cw && lock.flags.contains(F::ALTCW) {
            Mode::Cw
        } else {
            return Can::Not;
        };
        match self.can_in(lock, other, arrives) {
            true => Can::Grant(other),
            false => Can::Not,
        }
    }

    /// Grants a lock that stands nowhere.
    fn grant(&mut self, step: &mut Step<'_>, mut lock: Lock, mode: Mode) {
        if Some(mode) != lock.requested {
            lock.status |= StatusFlags::ALTMODE;
        }
        let read = self.move_value(&mut lock, mode);
        lock.granted = Some(mode);
        lock.requested = None;
        lock.told = Mode::Nl;
        lock.given = None;
        step.answer(&lock, lock.op, Status::Granted, read);
        self.granted.insert(0, lock);
    }

    fn move_value(&mut self, lock: &mut Lock, to: Mode) -> Option<ValueBlock> {
        let carries = lock.flags.contains(F::VALBLK) && lock.values_attached;
        let held = lock.granted.unwrap_or(Mode::Nl);
        let mut read = None;
        if held >= Mode::Pw && (held, to) != (Mode::Pw, Mode::Ex) {
            if lock.flags.contains(F::IVVALBLK) {
                self.invalid = true;
                return None;
            }
            if !carries {
                return None;
            }
            self.value = Some(lock.given.clone()?);
            self.invalid = false;
        } else if to >= held {
            if !carries {
                return None;
            }
            read = Some(self.value.clone()?);
        }
        if self.invalid {
            lock.status |= StatusFlags::VALNOTVALID;
        }
        read
    }

    fn enqueue(list: &mut Vec<Lock>, lock: Lock) {
        let place = if lock.flags.contains(F::HEADQUE) {
            0
        } else {
            list.len()
        };
        list.insert(place, lock);
    }

    fn call_list(list: &mut [Lock], step: &mut Step<'_>, asking: &Lock) {
        let wanted = asking.requested.expect("it wants something");
        for lock in list.iter_mut().filter(|lock| lock.id != asking.id) {
            let Some(held) = lock.granted else { continue };
            let is_news = match (held, wanted) {
                (Mode::Pr, Mode::Cw) | (Mode::Cw, Mode::Pr) => lock.told < Mode::Ex,
                _ => lock.told < wanted && !held.compatible(wanted),
            };
            if is_news {
                step.call(lock, wanted, wanted);
            }
        }
    }

    fn is_full(&self, step: &Step<'_>) -> bool {
        self.converting.len() + self.waiting.len() >= step.queue_length_max
    }

    fn fail(&mut self, step: &mut Step<'_>, lock: &Lock, op: OpId) {
        let mut answer = lock.clone();
        answer.requested = None;
        step.answer(&answer, op, Status::TryFailed, None);
        if lock.flags.contains(F::NOQUEUEBAST) {
            Self::call_list(&mut self.granted, step, lock);
            Self::call_list(&mut self.converting, step, lock);
        }
    }

    pub(crate) fn request(&mut self, step: &mut Step<'_>, lock: Lock) {
        if let Can::Grant(mode) = self.can(&lock, true) {
            self.grant(step, lock, mode);
        } else if lock.flags.contains(F::NOQUEUE) {
            self.fail(step, &lock, lock.op);
        } else if self.is_full(step) {
            let full = Status::Refused(Refusal::QueueLength);
            step.answer(&lock, lock.op, full, None);
        } else {
            Self::call_list(&mut self.granted, step, &lock);
            Self::enqueue(&mut self.waiting, lock);
        }
    }

    /// `lock` is the granted lock as it will be if the conversion is accepted.
    pub(crate) fn convert(&mut self, step: &mut Step<'_>, mut lock: Lock, op: OpId) {
        let mut can = self.can(&lock, true);
        let may_queue = !lock.flags.contains(F::NOQUEUE);
        let fails = matches!(can, Can::Deadlock) && !lock.flags.contains(F::NODLCKWT);
        if !matches!(can, Can::Grant(_)) && may_queue && !fails && self.is_full(step) {
            let (_, old) = self.find(lock.id).expect("it is granted");
            let mut old = old.clone();
            old.status = StatusFlags::empty();
            step.answer(&old, op, Status::Refused(Refusal::QueueLength), None);
            return;
        }
        let kept = Lock {
            requested: None,
            given: None,
            ..lock.clone()
        };
        *self.find_mut(lock.id).expect("it is granted") = kept;
        if matches!(can, Can::Demote) {
            lock.granted = Some(Mode::Nl);
            lock.status |= StatusFlags::DEMOTED;
            self.find_mut(lock.id).expect("it is granted").granted = Some(Mode::Nl);
            self.grant_converting(step, &mut false);
            let wanted = lock.requested.expect("it wants something");
            can = match self.can_in(&lock, wanted, true) {
                true => Can::Grant(wanted),
                false => Can::Not,
            };
        }
        if let Can::Grant(mode) = can {
            self.take(lock.id);
            lock.op = op;
            self.grant(step, lock, mode);
            self.settle(step);
        } else if fails {
            lock.requested = None;
            step.answer(&lock, op, Status::Deadlock, None);
        } else if may_queue {
            let told = self.take(lock.id).1.told;
            Self::call_list(&mut self.granted, step, &lock);
            Self::enqueue(&mut self.converting, Lock { op, told, ..lock });
        } else {
            self.fail(step, &lock, op);
        }
    }

    /// Grants conversions until none can be; the strongest mode of those that cannot.
    fn grant_converting(&mut self, step: &mut Step<'_>, cw: &mut bool) -> Option<Mode> {
        let mut after_demotion = false;
        loop {
            let (mut granted, mut demoted, mut strongest) = (false, false, None);
            let ids: Vec<Id> = self.converting.iter().map(|lock| lock.id).collect();
            for id in ids {
                let lock = self.find(id).expect("it converts").1.clone();
                match self.can(&lock, false) {
                    Can::Grant(mode) => {
                        let (_, lock) = self.take(id);
                        self.grant(step, lock, mode);
                        granted = true;
                    }
                    Can::Demote => {
                        let lock = self.find_mut(id).expect("it converts");
                        lock.granted = Some(Mode::Nl);
                        lock.status |= StatusFlags::DEMOTED;
                        demoted = true;
                    }
                    Can::Deadlock => {
                        let lock = self.find_mut(id).expect("it converts");
                        let wanted = lock.requested.expect("it converts");
                        if lock.flags.contains(F::NODLCKWT) && lock.told < wanted {
                            step.call(lock, wanted, wanted);
                        }
                    }
                    Can::Not => {
                        strongest = strongest.max(lock.requested);
                        *cw |= lock.requested == Some(Mode::Cw);
                    }
                }
            }
            if granted {
                continue;
            }
            if !demoted || after_demotion {
                return strongest;
            }
            after_demotion = true;
        }
    }

    /// Something was given up: who can be granted is, and who is in the way is told.
    pub(crate) fn settle(&mut self, step: &mut Step<'_>) {
        let mut cw = false;
        let mut strongest = self.grant_converting(step, &mut cw);
        let ids: Vec<Id> = self.waiting.iter().map(|lock| lock.id).collect();
        for id in ids {
            let lock = self.find(id).expect("it waits").1.clone();
            if let Can::Grant(mode) = self.can(&lock, false) {
                let (_, lock) = self.take(id);
                self.grant(step, lock, mode);
            } else {
                strongest = strongest.max(lock.requested);
                cw |= lock.requested == Some(Mode::Cw);
            }
        }
        let Some(wanted) = strongest else { return };
        for lock in &mut self.granted {
            let Some(held) = lock.granted else { continue };
            let by_cw = held == Mode::Pr && cw;
            if by_cw && lock.told < Mode::Ex {
                let mode = if wanted == Mode::Pr { Mode::Cw } else { wanted };
                step.call(lock, mode, wanted);
            } else if !by_cw && lock.told < wanted && !held.compatible(wanted) {
                step.call(lock, wanted, wanted);
            }
        }
    }

    /// Ends a wait; the lock stays in its old mode, if it had one.
    pub(crate) fn end_wait(
        &mut self,
        step: &mut Step<'_>,
        id: Id,
        status: Status,
        cancel: Option<OpId>,
    ) {
        let (_, mut lock) = self.take(id);
        lock.requested = None;
        lock.given = None;
        lock.status = StatusFlags::empty();
        step.answer(&lock, lock.op, status, None);
        if let Some(op) = cancel {
            step.answer(&lock, op, Status::CancelDone, None);
        }
        if lock.granted.is_some() {
            self.granted.insert(0, lock);
        }
        self.settle(step);
    }

    /// Takes a lock away; its operation ends, if it has one.
    pub(crate) fn remove(
        &mut self,
        step: &mut Step<'_>,
        id: Id,
        more: F,
        value: Option<ValueBlock>,
    ) -> Lock {
        let (queue, mut lock) = self.take(id);
        lock.flags |= more;
        lock.status = StatusFlags::empty();
        if lock.granted >= Some(Mode::Pw) {
            let carries = lock.flags.contains(F::VALBLK) && lock.values_attached;
            if lock.flags.contains(F::IVVALBLK) {
                self.invalid = true;
            } else if carries && value.is_some() {
                self.value = value;
                self.invalid = false;
            }
        }
        lock.granted = None;
        if queue != Queue::Granted {
            step.answer(&lock, lock.op, Status::Unlocked, None);
        }
        lock
    }
}
