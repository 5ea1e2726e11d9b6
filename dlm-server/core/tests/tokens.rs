//! When a grant takes a new token, and when it shares one.

use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{RequestFlags, ResourceName, SessionId, Status, Tick};

const SESSION: SessionId = SessionId(1);
const LOCKSPACE: LockspaceId = LockspaceId(1);

struct Locks {
    table: LockTable,
    ops: u64,
}

impl Locks {
    fn new() -> Self {
        let mut locks = Self {
            table: LockTable::new(Limits::DEFAULT, 1),
            ops: 0,
        };
        locks.step(Input::SessionStarted { session: SESSION });
        locks.step(Input::OpenLockspace {
            session: SESSION,
            lockspace: LOCKSPACE,
        });
        locks
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.ops += 1;
        let mut out = Vec::new();
        self.table.step(Tick(self.ops), input, &mut out);
        out
    }

    /// A new lock on `r`; the token that it is granted under.
    fn lock(&mut self, lock: u64, mode: Mode) -> u64 {
        let out = self.step(Input::Request {
            session: SESSION,
            op: OpId(self.ops),
            lockspace: LOCKSPACE,
            lock: LockId(lock),
            name: ResourceName::new(b"r").expect("a name"),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        });
        granted(&out)
    }

    /// A conversion; the token that it is granted under.
    fn convert(&mut self, lock: u64, mode: Mode) -> u64 {
        let (op, lock) = (OpId(self.ops), LockId(lock));
        let (flags, owner) = (RequestFlags::empty(), Owner(0));
        granted(&self.step(Input::Convert {
            session: SESSION,
            op,
            lock,
            mode,
            flags,
            owner,
            value: None,
        }))
    }

    fn unlock(&mut self, lock: u64) {
        let (op, lock) = (OpId(self.ops), LockId(lock));
        self.step(Input::Unlock {
            session: SESSION,
            op,
            lock,
            flags: RequestFlags::empty(),
            value: None,
        });
    }
}

fn granted(out: &[Output]) -> u64 {
    match out.first() {
        Some(Output::Done {
            status: Status::Granted,
            token,
            ..
        }) => token.0,
        other => panic!("it is granted at once: {other:?}"),
    }
}

#[test]
fn locks_held_together_in_a_shared_mode_share_a_token() {
    for mode in [Mode::Pr, Mode::Cw] {
        let mut locks = Locks::new();
        locks.lock(1, Mode::Nl);
        locks.lock(2, Mode::Nl);
        let first = locks.convert(1, mode);
        assert_eq!(
            locks.convert(2, mode),
            first,
            "or one would look late to the storage"
        );
        assert_eq!(locks.lock(3, mode), first);
    }
}

#[test]
fn a_grant_after_one_that_excludes_it_takes_a_new_token() {
    let mut locks = Locks::new();
    let ex = locks.lock(1, Mode::Ex);
    let pr = locks.convert(1, Mode::Pr);
    assert!(pr > ex);
    locks.unlock(1);
    assert!(
        locks.lock(1, Mode::Pr) > pr,
        "the resource was gone meanwhile"
    );
}

#[test]
fn a_conversion_that_changes_what_others_may_hold_takes_a_new_token() {
    let mut locks = Locks::new();
    let first = locks.lock(1, Mode::Pr);
    let given_up = locks.convert(1, Mode::Nl);
    assert!(given_up > first, "others may hold CW and more from now on");
    assert_eq!(locks.convert(1, Mode::Nl), given_up, "nothing changed");

    let mut locks = Locks::new();
    let first = locks.lock(1, Mode::Pr);
    locks.lock(2, Mode::Pr);
    assert_eq!(
        locks.convert(1, Mode::Nl),
        first,
        "the other one still keeps everybody out"
    );
}
