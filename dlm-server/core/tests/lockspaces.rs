//! Tokens of a resource whose lockspace ends and is opened again, in a cluster whose slots move: they grow.
//!
//! The cluster's state gives out the numbers of lockspaces, and each slot has a table under its epoch, as
//! its master has. A failure prints the steps that led to it, shrunk, and keeps its seed in
//! `proptest-regressions`.

use std::collections::BTreeMap;

use dlm_core::cluster::{
    ClusterState, Command, Endpoint, Join, Name, Reply, Role, ServerStarted, Versions,
};
use dlm_core::{
    Epoch, Input, Limits, LockId, LockTable, LockspaceId, LogIndex, Mode, OpId, Output, Owner,
    RequestFlags, ResourceName, ServerId, SessionId, SlotId, Status, Tick, Token,
};
use proptest::collection::vec;
use proptest::prelude::*;

const V1: Versions = Versions { min: 1, max: 1 };

struct World {
    state: ClusterState,
    at: u64,
    tables: BTreeMap<SlotId, (Epoch, LockTable)>,
    session: SessionId,
    /// The largest token of each resource, by the name of its lockspace.
    tokens: BTreeMap<(String, u8), Token>,
    /// Every number that a lockspace had.
    numbers: Vec<LockspaceId>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: ClusterState::new(),
            at: 0,
            tables: BTreeMap::new(),
            session: SessionId(0),
            tokens: BTreeMap::new(),
            numbers: Vec::new(),
        };
        let (server, endpoint) = (ServerId(1), Endpoint::lossy("10.0.0.1:7170"));
        world.apply(Command::ServerAdded {
            server,
            peer_endpoint: endpoint.clone(),
            role: Role::Voter,
        });
        world.apply(Command::ServerStarted(ServerStarted {
            server,
            nonce: 1,
            endpoint: endpoint.clone(),
            peer_endpoint: endpoint,
            versions: V1,
        }));
        world.join();
        world
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.at += 1;
        self.state
            .apply(LogIndex(self.at), command, &mut Vec::new())
    }

    fn join(&mut self) {
        let join = Join {
            nonce: self.at.into(),
            name: Name::lossy("node"),
            versions: V1,
            attests: None,
        };
        match self.apply(Command::Join(join)) {
            Reply::Joined { session, .. } => self.session = session,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, name: &str) -> LockspaceId {
        let reply = self.apply(Command::OpenLockspace {
            session: self.session,
            name: Name::lossy(name),
            options: None,
        });
        match reply {
            Reply::LockspaceOpened { lockspace, .. } => lockspace,
            other => panic!("{other:?}"),
        }
    }

    /// Takes a resource in EX and gives it back; the token that it was held under.
    fn lock(&mut self, lockspace: LockspaceId, resource: u8) -> Token {
        let name = ResourceName::new(&[resource]).expect("a name");
        let slot = SlotId::of(lockspace, &name);
        let epoch = self.state.slot(slot).epoch;
        let new = || (epoch, LockTable::for_epoch(Limits::DEFAULT, 1, epoch));
        let known = self.tables.entry(slot).or_insert_with(new);
        if known.0 < epoch {
            *known = new();
        }
        let (session, lock, flags) = (self.session, LockId(1), RequestFlags::empty());
        let owner = Owner(0);
        let inputs = [
            Input::SessionStarted { session },
            Input::OpenLockspace { session, lockspace },
            Input::Request {
                session,
                op: OpId(1),
                lockspace,
                lock,
                name,
                mode: Mode::Ex,
                flags,
                owner,
            },
            Input::Unlock {
                session,
                op: OpId(2),
                lock,
                flags,
                value: None,
            },
        ];
        let mut out = Vec::new();
        for input in inputs {
            known.1.step(Tick(self.at), input, &mut out);
        }
        match out[..] {
            [
                Output::Done {
                    status: Status::Granted,
                    token,
                    ..
                },
                ..,
            ] => token,
            _ => panic!("it is granted at once: {out:?}"),
        }
    }

    /// What `dlm lock` does: opens, takes, gives back, and leaves or says goodbye.
    fn visit(&mut self, name: &str, resource: u8, leaves: bool) -> Result<(), TestCaseError> {
        let lockspace = self.open(name);
        prop_assert!(!self.numbers.contains(&lockspace), "{lockspace:?} twice");
        self.numbers.push(lockspace);
        let token = self.lock(lockspace, resource);
        let before = self.tokens.insert((name.to_owned(), resource), token);
        prop_assert!(before < Some(token), "{token:?} after {before:?}");
        let session = self.session;
        if leaves {
            self.apply(Command::LeaveLockspace { session, lockspace });
        } else {
            self.apply(Command::Goodbye { session });
            self.join();
        }
        prop_assert!(self.state.lockspaces().is_empty());
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Somebody takes a resource of a lockspace that nobody has open before and after.
    Visit {
        lockspace: u8,
        resource: u8,
        leaves: bool,
    },
    /// The slot's master is lost, and its table with it.
    Recover(u8),
    /// A server goes on from a snapshot.
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    let visit = (0_u8..5, 0_u8..3, any::<bool>());
    prop_oneof![
        8 => visit.prop_map(|(lockspace, resource, leaves)| {
            Step::Visit { lockspace, resource, leaves }
        }),
        1 => any::<u8>().prop_map(Step::Recover),
        1 => Just(Step::Snapshot),
    ]
}

proptest! {
    #[test]
    fn tokens_grow_although_a_lockspace_comes_and_goes(steps in vec(step(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Visit { lockspace, resource, leaves } => {
                    world.visit(&format!("lockspace {lockspace}"), resource, leaves)?;
                }
                Step::Recover(slot) => {
                    let slot = SlotId::new(slot.into()).expect("a slot");
                    let epoch = world.state.slot(slot).epoch;
                    world.apply(Command::RecoverSlot { slot, epoch, to: None });
                }
                Step::Snapshot => {
                    let parts = world.state.parts();
                    world.state = ClusterState::from_parts(parts).expect("a good state");
                }
            }
        }
    }
}
