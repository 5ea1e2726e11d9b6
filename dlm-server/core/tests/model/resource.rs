//! One resource of the model: three lists.

use dlm_core::deadlock::Queue;
use dlm_core::{LockId, Mode, OpId, Output, Owner, RequestFlags, SessionId, Status, Token};

/// A lock of the model.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) session: SessionId,
    pub(crate) id: LockId,
    pub(crate) op: OpId,
    pub(crate) owner: Owner,
    pub(crate) granted: Option<Mode>,
    pub(crate) requested: Option<Mode>,
    pub(crate) told: u8,
}

impl Lock {
    pub(crate) fn is(&self, session: SessionId, id: LockId) -> bool {
        self.session == session && self.id == id
    }

    pub(crate) fn done(&self, op: OpId, status: Status) -> Output {
        let (session, lock, mode) = (self.session, self.id, self.granted);
        Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token: Token(0),
        }
    }
}

/// A resource of the model; `granted` has the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) granted: Vec<Lock>,
    pub(crate) converting: Vec<Lock>,
    pub(crate) waiting: Vec<Lock>,
}

impl Resource {
    pub(crate) fn all(&self) -> impl Iterator<Item = (Queue, &Lock)> {
        let granted = self.granted.iter().map(|lock| (Queue::Granted, lock));
        let converting = self.converting.iter().map(|lock| (Queue::Converting, lock));
        let waiting = self.waiting.iter().map(|lock| (Queue::Waiting, lock));
        granted.chain(converting).chain(waiting)
    }

    pub(crate) fn find(&self, session: SessionId, id: LockId) -> Option<(Queue, &Lock)> {
        self.all().find(|(_, lock)| lock.is(session, id))
    }

    /// Takes a lock out of whatever list it is in.
    pub(crate) fn take(&mut self, session: SessionId, id: LockId) -> Lock {
        for list in [&mut self.granted, &mut self.converting, &mut self.waiting] {
            if let Some(index) = list.iter().position(|lock| lock.is(session, id)) {
                return list.remove(index);
            }
        }
        panic!("the lock is on the resource");
    }

    /// Whether no other lock holds a mode that excludes what `lock` wants.
    fn fits(&self, lock: &Lock) -> bool {
        let wanted = lock.requested.expect("it wants something");
        let others = self
            .all()
            .filter(|(_, other)| !other.is(lock.session, lock.id));
        others
            .filter_map(|(_, other)| other.granted)
            .all(|held| held.compatible(wanted))
    }

    /// A new lock (no mode yet) or a conversion arrives, with `requested` set, and stands nowhere yet. An
    /// error is why it stands nowhere still, and the callbacks it asked for nevertheless.
    pub(crate) fn arrive(
        &mut self,
        lock: Lock,
        flags: RequestFlags,
        queue_max: usize,
    ) -> Result<Vec<Output>, (Status, Vec<Output>)> {
        let wanted = lock.requested.expect("it wants something");
        let turn = match lock.granted {
            None => self.converting.is_empty() && self.waiting.is_empty(),
            Some(_) => !flags.contains(RequestFlags::QUECVT) || self.converting.is_empty(),
        };
        if turn && self.fits(&lock) {
            let mut out = Vec::new();
            let converted = lock.granted.is_some();
            self.grant(lock, &mut out);
            if converted {
                self.settle(&mut out);
            }
            return Ok(out);
        }
        let mut failed = None;
        let mut calls = Vec::new();
        if flags.contains(RequestFlags::NOQUEUE) {
            failed = Some(Status::TryFailed);
            if flags.contains(RequestFlags::NOQUEUEBAST) {
                tell(&mut self.granted, wanted, &mut calls);
                tell(&mut self.converting, wanted, &mut calls);
            }
        } else if let Some(held) = lock.granted
            && self
                .converting
                .iter()
                .any(|c| !held.compatible(c.requested.expect("converts")))
        {
            failed = Some(Status::Deadlock);
        } else if self.converting.len() + self.waiting.len() >= queue_max {
            failed = Some(Status::Refused(dlm_core::Refusal::QueueLength));
        }
        if let Some(status) = failed {
            return Err((status, calls));
        }
        tell(&mut self.granted, wanted, &mut calls);
        if lock.granted.is_some() {
            self.converting.push(lock);
        } else {
            self.waiting.push(lock);
        }
        Ok(calls)
    }

    fn grant(&mut self, mut lock: Lock, out: &mut Vec<Output>) {
        lock.granted = lock.requested.take();
        lock.told = 0;
        out.push(lock.done(lock.op, Status::Granted));
        self.granted.insert(0, lock);
    }

    /// Grants what can be granted, then tells holders of what still waits.
    pub(crate) fn settle(&mut self, out: &mut Vec<Output>) {
        while self.converting.first().is_some_and(|lock| self.fits(lock)) {
            let lock = self.converting.remove(0);
            self.grant(lock, out);
        }
        while self.converting.is_empty() && self.waiting.first().is_some_and(|lock| self.fits(lock))
        {
            let lock = self.waiting.remove(0);
            self.grant(lock, out);
        }
        let queued = self.converting.iter().chain(&self.waiting);
        let wanted: Vec<Mode> = queued.filter_map(|lock| lock.requested).collect();
        let Some(&high) = wanted.iter().max() else {
            return;
        };
        for lock in &mut self.granted {
            let held = lock.granted.expect("it is granted");
            let mode = if held == Mode::Pr && wanted.contains(&Mode::Cw) {
                if lock.told == Mode::Ex as u8 {
                    continue;
                }
                if high == Mode::Pr { Mode::Cw } else { high }
            } else if !held.compatible(high) && high as u8 > lock.told {
                high
            } else {
                continue;
            };
            lock.told = high as u8;
            out.push(Output::Blocking {
                session: lock.session,
                lock: lock.id,
                mode,
            });
        }
    }
}

/// Tells the locks of a list that somebody wants `wanted`, where that is news.
fn tell(list: &mut [Lock], wanted: Mode, out: &mut Vec<Output>) {
    for lock in list {
        let held = lock.granted.expect("it holds a mode");
        let news = match (held, wanted) {
            (Mode::Pr, Mode::Cw) => lock.told < Mode::Ex as u8,
            _ => !held.compatible(wanted) && lock.told < wanted as u8,
        };
        if news {
            lock.told = wanted as u8;
            out.push(Output::Blocking {
                session: lock.session,
                lock: lock.id,
                mode: wanted,
            });
        }
    }
}
