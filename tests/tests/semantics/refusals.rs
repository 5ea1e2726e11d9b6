//! Bad input: each refusal by its name, and what a session may do and see.

use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{Refusal, RequestFlags as F, ResourceName, SessionId, Status, Tick, ValueBlock};

use crate::script::play;

const LOCKSPACE: LockspaceId = LockspaceId(1);

/// A lock table with sessions 1 and 2.
struct Locks {
    table: LockTable,
    ops: u64,
}

impl Locks {
    fn new(limits: Limits) -> Self {
        let mut locks = Self {
            table: LockTable::new(limits, 1),
            ops: 0,
        };
        for session in [SessionId(1), SessionId(2)] {
            locks.step(Input::SessionStarted { session });
            let lockspace = LOCKSPACE;
            locks.step(Input::OpenLockspace { session, lockspace });
        }
        locks
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.ops += 1;
        let mut out = Vec::new();
        self.table.step(Tick(self.ops), input, &mut out);
        out
    }

    /// How the operation itself ended.
    fn status(&mut self, input: Input) -> Status {
        let op = OpId(self.ops);
        let done = self
            .step(input)
            .into_iter()
            .find_map(|output| match output {
                Output::Done { op: of, status, .. } if of == op => Some(status),
                _ => None,
            });
        done.expect("it is answered at once")
    }

    fn lock(&mut self, of: (u64, u64), name: &str, mode: Mode, flags: F) -> Status {
        let input = self.request(of, name, mode, flags);
        self.status(input)
    }

    fn request(&self, of: (u64, u64), name: &str, mode: Mode, flags: F) -> Input {
        Input::Request {
            session: SessionId(of.0),
            op: OpId(self.ops),
            lockspace: LOCKSPACE,
            lock: LockId(of.1),
            name: ResourceName::new(name.as_bytes()).expect("a name"),
            mode,
            flags,
            owner: Owner(1),
        }
    }

    fn convert(&mut self, of: (u64, u64), mode: Mode, value: Option<ValueBlock>) -> Status {
        let op = OpId(self.ops);
        self.status(Input::Convert {
            session: SessionId(of.0),
            op,
            lock: LockId(of.1),
            mode,
            flags: F::VALBLK,
            owner: Owner(1),
            value,
        })
    }
}

const fn refused(refusal: Refusal) -> Status {
    Status::Refused(refusal)
}

#[test]
fn a_lock_id_is_used_once() {
    let mut locks = Locks::new(Limits::DEFAULT);
    assert_eq!(
        locks.lock((1, 1), "r", Mode::Nl, F::empty()),
        Status::Granted
    );
    let again = locks.lock((1, 1), "s", Mode::Nl, F::empty());
    assert_eq!(again, refused(Refusal::LockIdInUse));
    let others = locks.lock((2, 1), "r", Mode::Nl, F::empty());
    assert_eq!(
        others,
        Status::Granted,
        "each session has numbers of its own"
    );
}

#[test]
fn a_session_has_no_say_in_anothers_locks() {
    let mut locks = Locks::new(Limits::DEFAULT);
    locks.lock((1, 1), "r", Mode::Nl, F::empty());
    let converted = locks.convert((2, 1), Mode::Ex, None);
    assert_eq!(converted, refused(Refusal::NoSuchLock));
    let unlock = Input::Unlock {
        session: SessionId(2),
        op: OpId(locks.ops),
        lock: LockId(1),
        flags: F::empty(),
        value: None,
    };
    assert_eq!(locks.status(unlock), refused(Refusal::NoSuchLock));
}

#[test]
fn a_session_or_lockspace_that_is_not_open_is_refused() {
    let mut locks = Locks::new(Limits::DEFAULT);
    let nobody = locks.lock((9, 1), "r", Mode::Nl, F::empty());
    assert_eq!(nobody, refused(Refusal::NoSuchSession));
    let leave = Input::LeaveLockspace {
        session: SessionId(2),
        op: OpId(0),
        lockspace: LOCKSPACE,
    };
    locks.step(leave);
    let left = locks.lock((2, 1), "r", Mode::Nl, F::empty());
    assert_eq!(left, refused(Refusal::NoSuchLockspace));
}

#[test]
fn a_value_that_is_too_long_is_refused_and_changes_nothing() {
    let mut locks = Locks::new(Limits::DEFAULT);
    locks.lock((1, 1), "r", Mode::Ex, F::VALBLK);
    let long = ValueBlock::new(&[7; 33]).ok();
    let refusal = locks.convert((1, 1), Mode::Nl, long);
    assert_eq!(refusal, refused(Refusal::ValueLength));
    let session = SessionId(1);
    let held = locks.table.held(session, LockId(1)).map(|(mode, _)| mode);
    assert_eq!(held, Some(Mode::Ex));
}

#[test]
fn each_limit_of_the_table_is_a_refusal_of_its_own() {
    let mut locks = Locks::new(Limits {
        locks_per_session_max: 3,
        queue_length_max: 1,
        resources_max: 2,
    });
    locks.lock((1, 1), "r", Mode::Ex, F::empty());
    locks.step(locks.request((2, 1), "r", Mode::Ex, F::empty()));
    let queue = locks.lock((2, 2), "r", Mode::Ex, F::empty());
    assert_eq!(queue, refused(Refusal::QueueLength));
    let fails = locks.lock((2, 2), "r", Mode::Ex, F::NOQUEUE);
    assert_eq!(fails, Status::TryFailed, "what does not wait takes no room");
    locks.lock((1, 2), "s", Mode::Ex, F::empty());
    let resource = locks.lock((1, 3), "t", Mode::Ex, F::empty());
    assert_eq!(resource, refused(Refusal::Resources));
    locks.lock((1, 3), "s", Mode::Nl, F::empty());
    let fourth = locks.lock((1, 4), "s", Mode::Nl, F::empty());
    assert_eq!(fourth, refused(Refusal::LocksPerSession));
}

#[test]
fn the_answer_comes_first_then_grants_then_callbacks() {
    play(
        "
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        lock 3 c R PR > lkid
        lock 4 d R EX > lkid a!EX
        unlock 1 a    > 0 a(-DLM_EUNLOCK) b(0) c(0) c!EX b!EX
        ",
    );
}

#[test]
fn bad_modes_names_and_numbers_are_refused() {
    play(
        "
        lock 1 a R NL modeval=6    > -EINVAL
        lock 1 a R NL modeval=255  > -EINVAL
        lock 1 a R EX namelen=65   > -EINVAL
        lock 1 a R EX namelen=64   > lkid a(0)
        lock 1 b R EX namelen=0    > lkid b(0)
        conv 1 b NL modeval=6      > -EINVAL
        rawlkid 1 c 0x7fff1234     > 0
        conv 1 c EX                > -ENOENT
        unlock 1 c                 > -ENOENT
        cancel 1 c                 > -ENOENT
        unlock 1 c FORCEUNLOCK     > -ENOENT
        lock 1 d R EX noast        > -EINVAL
        lock 1 d R CR EXPEDITE     > -EINVAL
        ",
    );
}
