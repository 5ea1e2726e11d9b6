//! Bytes as operations on the lock table: after each its invariants hold, and each is answered once.

use std::collections::BTreeMap;

use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{RequestFlags, ResourceName, SessionId, Tick, ValueBlock, invariants};

/// The most operations of one input: checking a table takes longer the more is in it.
const OPERATIONS_MAX: u64 = 400;

/// So small that a short input reaches them.
const SMALL: Limits = Limits {
    locks_per_session_max: 6,
    queue_length_max: 3,
    resources_max: 2,
};

/// Does what the bytes say.
///
/// # Panics
/// Where an invariant does not hold, or an operation is answered twice or not at all.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let limits = if bytes.below(4) == 0 {
        SMALL
    } else {
        Limits::DEFAULT
    };
    let mut world = World {
        table: LockTable::new(limits, 1),
        asked: BTreeMap::new(),
        now: Tick(0),
        ops: 0,
    };
    for session in (0..2).map(SessionId) {
        world.step(Input::SessionStarted { session });
        let lockspace = LockspaceId(0);
        world.step(Input::OpenLockspace { session, lockspace });
    }
    while world.ops < OPERATIONS_MAX && !bytes.0.is_empty() {
        let input = world.input(&mut bytes);
        world.step(input);
    }
    world.all_are_answered();
}

/// What is left of the input; behind its end stand zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: u8) -> u64 {
        u64::from(self.next() % end)
    }

    /// Nearly always none but the named ones.
    fn flags(&mut self) -> RequestFlags {
        let bits = [self.next(), self.next(), self.next() & 0x87, 0];
        RequestFlags::from_bits_retain(u32::from_le_bytes(bits))
    }

    fn mode(&mut self) -> Mode {
        Mode::ALL[self.below(6) as usize]
    }

    fn value(&mut self) -> Option<ValueBlock> {
        match self.below(16) {
            0..8 => None,
            15 => ValueBlock::new(&[7; 40]).ok(),
            length => ValueBlock::new(&[length as u8; 9][..length as usize - 7]).ok(),
        }
    }
}

struct World {
    table: LockTable,
    /// Operations without an answer, and the lock that each is about.
    asked: BTreeMap<OpId, (SessionId, LockId)>,
    now: Tick,
    ops: u64,
}

impl World {
    fn input(&mut self, bytes: &mut Bytes<'_>) -> Input {
        let kind = bytes.below(32);
        let session = SessionId(bytes.below(2));
        let (op, lock) = (OpId(self.ops), LockId(bytes.below(8)));
        match kind {
            0..11 => Input::Request {
                session,
                op,
                lockspace: LockspaceId(u32::from(bytes.below(16) == 15)),
                lock,
                name: ResourceName::new(&[b'r'; 3][..bytes.below(3) as usize]).expect("a name"),
                mode: bytes.mode(),
                flags: bytes.flags(),
                owner: Owner(bytes.below(3)),
            },
            11..20 => Input::Convert {
                session,
                op,
                lock,
                mode: bytes.mode(),
                flags: bytes.flags(),
                owner: Owner(bytes.below(3)),
                value: bytes.value(),
            },
            20..24 => Input::Unlock {
                session,
                op,
                lock,
                flags: bytes.flags() & RequestFlags::OF_UNLOCK,
                value: bytes.value(),
            },
            24..26 => Input::Cancel { session, op, lock },
            _ => self.of_sessions(kind, (session, op, lock), bytes),
        }
    }

    fn of_sessions(
        &mut self,
        kind: u64,
        (session, op, lock): (SessionId, OpId, LockId),
        bytes: &mut Bytes<'_>,
    ) -> Input {
        let lockspace = LockspaceId(bytes.below(2) as u32);
        match kind {
            26 => Input::EndWait {
                session,
                lock,
                serial: self.serial_of(session, lock),
            },
            27 => Input::OwnerEnded {
                session,
                op,
                owner: Owner(bytes.below(3)),
            },
            28 => Input::PurgeOrphans {
                session,
                op,
                lockspace,
                owner: Some(Owner(bytes.below(4))).filter(|owner| owner.0 < 3),
            },
            29 => Input::SessionStarted { session },
            30 => Input::OpenLockspace { session, lockspace },
            _ if bytes.below(2) == 0 => Input::SessionEnded { session },
            _ => Input::LeaveLockspace {
                session,
                op,
                lockspace,
            },
        }
    }

    fn serial_of(&self, session: SessionId, lock: LockId) -> u64 {
        let views = self.table.view(None);
        let mut locks = views.iter().flat_map(|resource| &resource.locks);
        let found = locks.find(|view| (view.session, view.lock) == (session, lock));
        found.map_or(0, |view| view.serial)
    }

    fn step(&mut self, input: Input) {
        match &input {
            Input::Request {
                session, op, lock, ..
            }
            | Input::Convert {
                session, op, lock, ..
            }
            | Input::Unlock {
                session, op, lock, ..
            }
            | Input::Cancel { session, op, lock } => {
                self.asked.insert(*op, (*session, *lock));
            }
            Input::OwnerEnded { session, op, .. }
            | Input::PurgeOrphans { session, op, .. }
            | Input::LeaveLockspace { session, op, .. } => {
                self.asked.insert(*op, (*session, LockId(u64::MAX)));
            }
            Input::SessionEnded { session } => self.asked.retain(|_, asked| asked.0 != *session),
            _ => {}
        }
        self.ops += 1;
        self.now = self.now.plus(1_000_000);
        let mut out = Vec::new();
        self.table.step(self.now, input, &mut out);
        for output in out {
            let (session, op) = match output {
                Output::Done { session, op, .. } | Output::Purged { session, op, .. } => {
                    (session, op)
                }
                Output::Blocking { .. } | Output::Orphaned { .. } | Output::Queued { .. } => {
                    continue;
                }
            };
            let asked = self.asked.remove(&op);
            let of = asked.map(|(session, _)| session);
            assert_eq!(of, Some(session), "an answer to {op:?}");
        }
        invariants::check(&self.table).unwrap_or_else(|violation| panic!("{violation}"));
    }

    /// What is not answered waits.
    fn all_are_answered(&self) {
        let views = self.table.view(None);
        let locks = views.iter().flat_map(|resource| &resource.locks);
        let waits: Vec<(SessionId, LockId)> = locks
            .filter(|view| view.requested.is_some())
            .map(|view| (view.session, view.lock))
            .collect();
        for (op, asked) in &self.asked {
            assert!(waits.contains(asked), "{op:?} of {asked:?} is not answered");
        }
        assert_eq!(self.asked.len(), waits.len(), "{:?}", self.asked);
    }
}
