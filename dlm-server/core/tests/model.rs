//! The table against a model that is slow and obvious: plain lists, every rule a scan.
//!
//! The model shares nothing with the table but the vocabulary and the table of compatible modes. It says
//! which outputs a step has, in which order, and where every lock stands; tokens it does not know, and
//! they are checked against their history.

mod model {
    pub(crate) mod resource;
    pub(crate) mod table;
}

use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{RequestFlags, ResourceName, SessionId, Status, Tick, Token, invariants};
use model::table::Model;
use proptest::collection::vec;
use proptest::prelude::*;

/// A step before it gets its operation's number.
#[derive(Clone, Debug)]
enum Op {
    Request {
        session: u64,
        lockspace: u32,
        lock: u64,
        name: u8,
        mode: Mode,
        flags: u32,
    },
    Convert {
        session: u64,
        lock: u64,
        mode: Mode,
        flags: u32,
    },
    Unlock {
        session: u64,
        lock: u64,
    },
    Cancel {
        session: u64,
        lock: u64,
    },
    End {
        session: u64,
    },
    Start {
        session: u64,
    },
    Open {
        session: u64,
        lockspace: u32,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let session = 0..3_u64;
    let lock = 0..5_u64;
    let mode = (0..6_u8).prop_map(|number| Mode::from_number(number).expect("six modes"));
    let flags = prop_oneof![
        4 => Just(0),
        1 => Just(RequestFlags::NOQUEUE.bits()),
        1 => Just((RequestFlags::NOQUEUE | RequestFlags::NOQUEUEBAST).bits()),
        1 => Just(RequestFlags::QUECVT.bits()),
        // A flag of fs/dlm's that is not known here: it is refused.
        1 => Just(0x40),
    ];
    // One lockspace is open in every session, the other one has to be opened.
    let lockspace = prop_oneof![9 => Just(1_u32), 1 => Just(2)];
    let request = (
        session.clone(),
        lockspace.clone(),
        lock.clone(),
        0..2_u8,
        mode.clone(),
        flags.clone(),
    );
    prop_oneof![
        8 => request.prop_map(|(session, lockspace, lock, name, mode, flags)| Op::Request {
            session, lockspace, lock, name, mode, flags
        }),
        8 => (session.clone(), lock.clone(), mode, flags)
            .prop_map(|(session, lock, mode, flags)| Op::Convert { session, lock, mode, flags }),
        4 => (session.clone(), lock.clone())
            .prop_map(|(session, lock)| Op::Unlock { session, lock }),
        3 => (session.clone(), lock).prop_map(|(session, lock)| Op::Cancel { session, lock }),
        1 => session.clone().prop_map(|session| Op::End { session }),
        1 => session.clone().prop_map(|session| Op::Start { session }),
        1 => (session, lockspace).prop_map(|(session, lockspace)| Op::Open { session, lockspace }),
    ]
}

fn input(op: &Op, number: u64) -> Input {
    let id = OpId(number);
    match *op {
        Op::Request {
            session,
            lockspace,
            lock,
            name,
            mode,
            flags,
        } => Input::Request {
            session: SessionId(session),
            op: id,
            lockspace: LockspaceId(lockspace),
            lock: LockId(lock),
            name: ResourceName::new(&[b'a' + name]).expect("a name"),
            mode,
            flags: RequestFlags::from_bits_retain(flags),
            owner: Owner(number % 3),
        },
        Op::Convert {
            session,
            lock,
            mode,
            flags,
        } => Input::Convert {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
            mode,
            flags: RequestFlags::from_bits_retain(flags),
            owner: Owner(number % 3),
        },
        Op::Unlock { session, lock } => Input::Unlock {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
        },
        Op::Cancel { session, lock } => Input::Cancel {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
        },
        Op::End { session } => Input::SessionEnded {
            session: SessionId(session),
        },
        Op::Start { session } => Input::SessionStarted {
            session: SessionId(session),
        },
        Op::Open { session, lockspace } => Input::OpenLockspace {
            session: SessionId(session),
            lockspace: LockspaceId(lockspace),
        },
    }
}

/// Every grant so far: of which resource, in which mode, under which token. It outlives the resource.
#[derive(Default)]
struct History(Vec<((LockspaceId, ResourceName), Mode, Token)>);

impl History {
    /// Takes a grant in, and checks that its token is above those of all earlier grants that exclude it.
    fn grant(
        &mut self,
        resource: (LockspaceId, ResourceName),
        mode: Mode,
        token: Token,
    ) -> Result<(), TestCaseError> {
        for (other, earlier, smaller) in &self.0 {
            if *other == resource && !earlier.compatible(mode) {
                prop_assert!(
                    *smaller < token,
                    "{mode} under {token:?} after {earlier} under {smaller:?}"
                );
            }
        }
        self.0.push((resource, mode, token));
        Ok(())
    }
}

fn without_token(output: Output) -> Output {
    match output {
        Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            ..
        } => Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token: Token(0),
        },
        blocking @ Output::Blocking { .. } => blocking,
    }
}

fn agree(ops: &[Op], limits: Limits) -> Result<(), TestCaseError> {
    let (mut table, mut model) = (LockTable::new(limits), Model::new(limits));
    let mut history = History::default();
    let start = (0..3).flat_map(|session| {
        [
            Op::Start { session },
            Op::Open {
                session,
                lockspace: 1,
            },
        ]
    });
    for (number, op) in (1..).zip(start.chain(ops.iter().cloned())) {
        let input = input(&op, number);
        let mut out = Vec::new();
        table.step(Tick(number), input.clone(), &mut out);
        let expected = model.step(input);
        let got: Vec<Output> = out.iter().copied().map(without_token).collect();
        prop_assert_eq!(got, expected, "step {}: {:?}", number, op);
        prop_assert_eq!(invariants::check(&table), Ok(()));
        let places = model.places();
        prop_assert_eq!(
            model::table::places_of(&table),
            places,
            "step {}: {:?}",
            number,
            op
        );
        for output in out {
            let Output::Done {
                session,
                lock,
                status,
                mode,
                token,
                ..
            } = output
            else {
                continue;
            };
            prop_assert_eq!(mode.is_some(), token > Token(0), "a token goes with a mode");
            if let (Status::Granted, Some(mode)) = (status, mode) {
                let resource = model
                    .resource_of(session, lock)
                    .expect("a granted lock stands");
                history.grant(resource, mode, token)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_does_what_the_model_does(ops in vec(op(), 1..120)) {
        agree(&ops, Limits::DEFAULT)?;
    }

    #[test]
    fn so_it_does_at_its_limits(ops in vec(op(), 1..120)) {
        let limits = Limits { locks_per_session_max: 3, queue_length_max: 2, resources_max: 1 };
        agree(&ops, limits)?;
    }
}
