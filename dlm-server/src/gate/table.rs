//! Which links are cut, late or lossy, and until when: a pure table, stepped with the time.

use std::collections::BTreeMap;

use dlm_core::Tick;
use glockwork_proto::fault::{ActiveFault, Fault, FaultKind, Healing, Injection, Member};
use thiserror::Error;

/// The most faults at a time, each direction counted for itself. Every chunk of bytes looks through them, and
/// a partition of the largest cluster in two halves needs a few hundred.
pub const FAULTS_MAX: usize = 1024;

/// There are [`FAULTS_MAX`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there are {FAULTS_MAX} faults already; heal some first")]
pub struct FaultsFull;

/// What happens to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultInput {
    /// A fault is put in. It takes the place of one of the same kind on the same link.
    Inject(Injection),
    /// Faults are taken away.
    Heal(Healing),
    /// Time has passed.
    Time,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultOutput {
    /// From now on.
    Began(ActiveFault),
    /// Not any more: it was healed, replaced, or its time is over.
    Ended(ActiveFault),
    /// Nothing was put in.
    Refused(FaultsFull),
}

/// What happens to bytes in one direction of a link: the worst of what its faults say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// They pass.
    Free,
    /// They arrive so much later.
    Late {
        /// In microseconds.
        us: u64,
    },
    /// They wait; one can connect.
    Stalled,
    /// They wait, and nobody can connect.
    Cut,
    /// They are lost, and nobody can connect.
    Lost,
}

impl Passage {
    /// Whether bytes neither pass nor are lost.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Stalled | Self::Cut)
    }

    /// Whether a connection is made.
    #[must_use]
    pub const fn connects(self) -> bool {
        !matches!(self, Self::Cut | Self::Lost)
    }
}

impl From<Fault> for Passage {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Delay { us } => Self::Late { us },
            Fault::Stall => Self::Stalled,
            Fault::Cut => Self::Cut,
            Fault::Drop => Self::Lost,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: Member,
    to: Member,
    kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    fault: Fault,
    until: Option<Tick>,
}

/// The faults that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Key, Entry>);

impl Faults {
    /// Takes what happens `now`; what came of it is appended to `outputs`.
    pub fn step(&mut self, now: Tick, input: FaultInput, outputs: &mut Vec<FaultOutput>) {
        self.expire(now, outputs);
        match input {
            FaultInput::Inject(injection) => self.inject(now, injection, outputs),
            FaultInput::Heal(healing) => {
                let ended = |key: &Key| match &healing.link {
                    None => true,
                    Some((one, other)) => {
                        let pair = (&key.from, &key.to);
                        pair == (one, other) || pair == (other, one)
                    }
                };
                self.end(now, |key, _| ended(key), outputs);
            }
            FaultInput::Time => {}
        }
    }

    /// When the next fault's time is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.0.values().filter_map(|entry| entry.until).min()
    }

    /// What happens to bytes from one server or session to another.
    #[must_use]
    pub fn passage(&self, from: &Member, to: &Member) -> Passage {
        let hit = |key: &Key| key.from.covers(from) && key.to.covers(to);
        let hits = self.0.iter().filter(|(key, _)| hit(key));
        let passages = hits.map(|(_, entry)| Passage::from(entry.fault));
        passages.max().unwrap_or(Passage::Free)
    }

    /// All of them, as of `now`.
    #[must_use]
    pub fn list(&self, now: Tick) -> Vec<ActiveFault> {
        let entries = self.0.iter();
        entries
            .map(|(key, entry)| active(key, *entry, now))
            .collect()
    }

    fn inject(&mut self, now: Tick, injection: Injection, outputs: &mut Vec<FaultOutput>) {
        let Injection {
            from,
            to,
            one_way,
            fault,
            for_us,
            here_only: _,
        } = injection;
        let kind = fault.kind();
        let back = (!one_way).then(|| Key {
            from: to.clone(),
            to: from.clone(),
            kind,
        });
        let keys = [Some(Key { from, to, kind }), back];
        let keys: Vec<Key> = keys.into_iter().flatten().collect();
        let new = keys.iter().filter(|key| !self.0.contains_key(key)).count();
        if self.0.len() + new > FAULTS_MAX {
            outputs.push(FaultOutput::Refused(FaultsFull));
            return;
        }
        let until = for_us.map(|us| now.plus(us));
        let entry = Entry { fault, until };
        for key in keys {
            outputs.push(FaultOutput::Began(active(&key, entry, now)));
            if let Some(before) = self.0.insert(key.clone(), entry) {
                outputs.push(FaultOutput::Ended(active(&key, before, now)));
            }
        }
        self.expire(now, outputs);
    }

    fn expire(&mut self, now: Tick, outputs: &mut Vec<FaultOutput>) {
        let over = |entry: &Entry| entry.until.is_some_and(|until| until <= now);
        self.end(now, |_, entry| over(entry), outputs);
    }

    fn end(
        &mut self,
        now: Tick,
        ends: impl Fn(&Key, &Entry) -> bool,
        outputs: &mut Vec<FaultOutput>,
    ) {
        self.0.retain(|key, entry| {
            let ends = ends(key, entry);
            if ends {
                outputs.push(FaultOutput::Ended(active(key, *entry, now)));
            }
            !ends
        });
    }
}

fn active(key: &Key, entry: Entry, now: Tick) -> ActiveFault {
    ActiveFault {
        from: key.from.clone(),
        to: key.to.clone(),
        fault: entry.fault,
        left_us: entry.until.map(|until| until.since(now)),
    }
}
