//! A client that knows what it was told and nothing else, and claims by the rules.

use std::collections::BTreeMap;

use dlm_core::recovery::{Claim, KnownValue, Stands, surely_held};
use dlm_core::value::Transfer;
use dlm_core::{Input, LockId, LockspaceId, Mode, OpId, Output, Owner, RequestFlags as F};
use dlm_core::{ResourceName, Status, StatusFlags, Token, ValueBlock};

/// The lockspace of all resources.
pub(crate) const LOCKSPACE: LockspaceId = LockspaceId(1);

/// A lock as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) name: ResourceName,
    pub(crate) held: Option<Mode>,
    pub(crate) pending: Vec<Pending>,
    flags: F,
    token: Token,
    uses_values: bool,
    value_sequence: u64,
    value: Option<KnownValue>,
}

/// An operation that was not answered.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) input: Input,
    op: OpId,
    serial: Option<u64>,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) locks: BTreeMap<LockId, Lock>,
    /// What is sent reaches the master.
    pub(crate) sends: bool,
    /// What the master says reaches the client.
    pub(crate) hears: bool,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            locks: BTreeMap::new(),
            sends: true,
            hears: true,
        }
    }

    /// Notes what it sends.
    pub(crate) fn sent(&mut self, input: &Input) {
        let (op, lock, flags) = match input {
            Input::Request {
                op,
                lock,
                name,
                flags,
                ..
            } => {
                let new = Lock {
                    name: name.clone(),
                    held: None,
                    pending: Vec::new(),
                    flags: *flags,
                    token: Token(0),
                    uses_values: false,
                    value_sequence: 0,
                    value: None,
                };
                self.locks.entry(*lock).or_insert(new);
                (*op, *lock, *flags)
            }
            Input::Convert {
                op, lock, flags, ..
            } => (*op, *lock, *flags),
            Input::Unlock { op, lock, .. } => (*op, *lock, F::empty()),
            other => unreachable!("{other:?} is not sent here"),
        };
        let known = self.locks.get_mut(&lock).expect("a lock of its own");
        if !matches!(input, Input::Unlock { .. }) {
            known.flags = flags;
            known.uses_values |= flags.contains(F::VALBLK);
        }
        known.pending.push(Pending {
            input: input.clone(),
            op,
            serial: None,
        });
    }

    /// Notes what it hears.
    pub(crate) fn heard(&mut self, output: &Output) {
        match output {
            Output::Queued {
                op, lock, serial, ..
            } => {
                let lock = self.locks.get_mut(lock).expect("a lock of its own");
                let pending = lock.pending.iter_mut().find(|it| it.op == *op);
                pending.expect("an operation of its own").serial = Some(*serial);
            }
            Output::Done {
                op,
                lock,
                status,
                mode,
                token,
                flags,
                value,
                value_sequence,
                ..
            } => {
                let known = self.locks.get_mut(lock).expect("a lock of its own");
                let at = known.pending.iter().position(|it| it.op == *op);
                let done = known.pending.remove(at.expect("answered once"));
                if mode.is_some() {
                    known.value_sequence = *value_sequence;
                }
                if *status == Status::Granted {
                    known.learn(&done.input, mode.expect("granted"), *flags, value.as_ref());
                }
                (known.held, known.token) = (*mode, *token);
                if known.held.is_none() && known.pending.is_empty() {
                    self.locks.remove(lock);
                }
            }
            _ => {}
        }
    }

    /// What it claims, and what it sends again.
    pub(crate) fn claims(&mut self) -> (Vec<Claim>, Vec<Input>) {
        let (mut claims, mut again) = (Vec::new(), Vec::new());
        for (&id, lock) in &mut self.locks {
            let claim = lock.claim(id);
            let tried = lock.pending.iter().filter(|it| {
                let flags = match it.input {
                    Input::Request { flags, .. } => flags,
                    Input::Convert { flags, .. } if !lock.gives_up(&it.input) => flags,
                    _ => F::empty(),
                };
                flags.contains(F::NOQUEUE)
            });
            again.extend(tried.map(|it| it.input.clone()));
            claims.extend(claim);
        }
        (claims, again)
    }
}

impl Lock {
    /// Whether a conversion gives something up and takes nothing.
    fn gives_up(&self, input: &Input) -> bool {
        match (self.held, input) {
            (Some(held), Input::Convert { mode, .. }) => held.is_down_to(*mode),
            _ => false,
        }
    }

    /// What a completed operation says of the value.
    fn learn(&mut self, done: &Input, mode: Mode, flags: StatusFlags, read: Option<&ValueBlock>) {
        let sequence = self.value_sequence;
        let valid = !flags.contains(StatusFlags::VALNOTVALID);
        if let Some(bytes) = read {
            let bytes = bytes.clone();
            self.value = Some(KnownValue {
                sequence,
                bytes,
                valid,
            });
        } else if let Some(bytes) = self.stores(done, mode) {
            self.value = Some(KnownValue {
                sequence,
                bytes,
                valid,
            });
        }
    }

    /// The value that an operation stores, where it ends in this mode.
    fn stores(&self, input: &Input, to: Mode) -> Option<ValueBlock> {
        let (flags, value) = match input {
            Input::Convert { flags, value, .. } => (*flags, value.clone()?),
            _ => return None,
        };
        let writes = Transfer::of(self.held, to) == Transfer::Write;
        let stores = writes && flags.contains(F::VALBLK) && !flags.contains(F::IVVALBLK);
        stores.then(|| padded(&value))
    }

    fn claim(&self, lock: LockId) -> Option<Claim> {
        let mut claim = Claim {
            lock,
            lockspace: LOCKSPACE,
            name: self.name.clone(),
            owner: Owner(0),
            flags: self.flags,
            stands: Stands::Waiting {
                wanted: Mode::Nl,
                op: OpId(0),
                serial: None,
            },
            granted: self.held,
            token: self.token,
            orphan: false,
            uses_values: self.uses_values,
            value_sequence: self.value_sequence,
            value: self.value.clone(),
        };
        let Some(last) = self.pending.last() else {
            let mode = self.held?;
            let unanswered = None;
            claim.stands = Stands::Granted { mode, unanswered };
            return Some(claim);
        };
        match last.input {
            Input::Unlock { .. } => self.claim_unlocked(&mut claim, last),
            Input::Request { flags, .. } if flags.contains(F::NOQUEUE) => return None,
            Input::Request { mode: wanted, .. } => {
                let (op, serial) = (last.op, last.serial);
                claim.stands = Stands::Waiting { wanted, op, serial };
            }
            _ => self.claim_conversion(&mut claim, last)?,
        }
        Some(claim)
    }

    fn claim_unlocked(&self, claim: &mut Claim, unlock: &Pending) {
        let op = unlock.op;
        let first = self.pending.first();
        let ends = first.map(|it| it.op).filter(|&other| other != op);
        claim.stands = Stands::Unlocked { op, ends };
        let writes = self.held >= Some(Mode::Pw) && self.uses_values;
        if let Input::Unlock { flags, value, .. } = &unlock.input
            && let (true, Some(value)) = (writes && flags.contains(F::VALBLK), value)
        {
            claim.stored(padded(value));
        }
    }

    fn claim_conversion(&self, claim: &mut Claim, conversion: &Pending) -> Option<()> {
        let Pending { input, op, serial } = conversion;
        let (op, serial) = (*op, *serial);
        let Input::Convert {
            mode, flags, value, ..
        } = input
        else {
            return None;
        };
        if self.gives_up(input) {
            claim.stands = Stands::Granted {
                mode: *mode,
                unanswered: Some(op),
            };
            if let Some(value) = self.stores(input, *mode) {
                claim.stored(value);
            } else if flags.contains(F::IVVALBLK) && self.held >= Some(Mode::Pw) {
                claim.marked();
            }
            return Some(());
        }
        let held = surely_held(self.held?, *mode, *flags);
        claim.stands = if flags.contains(F::NOQUEUE) {
            Stands::Granted {
                mode: held,
                unanswered: None,
            }
        } else {
            Stands::Converting {
                held,
                wanted: *mode,
                op,
                serial,
                given: value.clone(),
            }
        };
        Some(())
    }
}

trait Unanswered {
    fn stored(&mut self, bytes: ValueBlock);
    fn marked(&mut self);
}

impl Unanswered for Claim {
    fn stored(&mut self, bytes: ValueBlock) {
        self.value_sequence += 1;
        self.value = Some(KnownValue {
            sequence: self.value_sequence,
            bytes,
            valid: true,
        });
    }

    fn marked(&mut self) {
        if self.value_sequence == 0 {
            return;
        }
        let known = self.value.as_mut();
        if let Some(known) = known.filter(|known| known.sequence == self.value_sequence) {
            (known.sequence, known.valid) = (known.sequence + 1, false);
        }
        self.value_sequence += 1;
    }
}

/// The value as long as the lockspace's are.
pub(crate) fn padded(value: &ValueBlock) -> ValueBlock {
    let mut bytes = value.as_bytes().to_vec();
    bytes.resize(8, 0);
    ValueBlock::new(&bytes).expect("a value")
}
