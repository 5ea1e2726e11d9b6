//! Random steps, and the commands that each means in the state that it meets.

use dlm_core::cluster::{
    Attest, ClusterOptions, ClusterState, Command, Death, Endpoint, FenceOutcome, Fenced, Join,
    Master, Name, NamedReplay, Reason, Role, ServerStarted, Versions,
};
use dlm_core::ids::GENERATION_BITS;
use dlm_core::{Epoch, Incarnation, LockspaceId, ServerId, SessionId, SlotId};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What is to happen, in terms of a state that is not known yet: numbers choose among what is there, and
/// now and then miss it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Plain(Command),
    /// The process of the so-manieth running server is lost.
    Lose(usize),
    /// Each master serves what it has, or only every so-manieth slot.
    Serve(usize),
    /// What is due is begun.
    Move,
    /// A slot moves, recovers, or has no tokens left, in its epoch.
    Slot(u8, ServerId, u8),
    /// The so-manieth fence that is wanted has this result.
    Fence(usize, bool),
    /// The so-manieth replay that is wanted is done, or failed.
    Replay(usize, bool),
    /// A client that is known comes back.
    Attest(u128, SessionId),
}

fn server() -> impl Strategy<Value = ServerId> {
    (1_u64..6).prop_map(ServerId)
}

fn session() -> impl Strategy<Value = SessionId> {
    (0_u64..12).prop_map(SessionId)
}

fn lockspace() -> impl Strategy<Value = LockspaceId> {
    let numbers = (0_u32..4, 0_u32..4);
    numbers.prop_map(|(base, generation)| LockspaceId(base << GENERATION_BITS | generation))
}

pub(crate) fn endpoint(server: ServerId) -> Endpoint {
    Endpoint::lossy(&format!("10.0.0.{}:7170", server.0))
}

fn versions() -> impl Strategy<Value = Versions> {
    let common = Just(Versions { min: 1, max: 1 });
    prop_oneof![
        8 => common,
        1 => (0_u32..3, 0_u32..4).prop_map(|(min, max)| Versions { min, max }),
    ]
}

fn of_servers() -> impl Strategy<Value = Command> {
    let role = select(&[Role::Learner, Role::Voter, Role::Voter, Role::Leaving][..]);
    prop_oneof![
        3 => (server(), role).prop_map(|(server, role)| Command::ServerAdded {
            server,
            peer_endpoint: endpoint(server),
            role,
        }),
        1 => server().prop_map(|server| Command::ServerRemoved { server }),
        6 => (server(), 0_u128..4, versions()).prop_map(|(server, nonce, versions)| {
            Command::ServerStarted(ServerStarted {
                server,
                nonce,
                endpoint: endpoint(server),
                peer_endpoint: endpoint(server),
                versions,
            })
        }),
        1 => (0_u64..40).prop_map(|number| Command::ServerLost {
            incarnation: Incarnation(number),
        }),
    ]
}

/// Three kinds of lockspaces: without, with a journal; with a fence command only.
fn options(kind: u8) -> ClusterOptions {
    ClusterOptions {
        fenced: kind > 0,
        replayed: kind == 1,
        ..ClusterOptions::default()
    }
}

/// Two servers and four sessions, most of them with every lockspace open: a cluster in which something
/// can happen.
pub(crate) fn setup() -> Vec<Step> {
    let mut steps = Vec::new();
    for server in (1..3).map(ServerId) {
        let peer_endpoint = endpoint(server);
        let role = Role::Voter;
        steps.push(Command::ServerAdded {
            server,
            peer_endpoint,
            role,
        });
        steps.push(Command::ServerStarted(ServerStarted {
            server,
            nonce: 100,
            endpoint: endpoint(server),
            peer_endpoint: endpoint(server),
            versions: Versions { min: 1, max: 1 },
        }));
    }
    for number in 1..5 {
        steps.push(Command::Join(Join {
            nonce: 100 + u128::from(number),
            name: Name::lossy("node"),
            versions: Versions { min: 1, max: 1 },
            attests: None,
        }));
        let session = SessionId(number);
        steps.extend((0..3).map(|kind| Command::OpenLockspace {
            session,
            name: Name::lossy(&format!("lockspace {kind}")),
            options: Some(options(kind)),
        }));
    }
    let second = LockspaceId(1 << GENERATION_BITS | 1);
    let (session, lockspace) = (SessionId(4), second);
    steps.push(Command::LeaveLockspace { session, lockspace });
    steps.into_iter().map(Step::Plain).collect()
}

fn of_sessions() -> impl Strategy<Value = Command> {
    let opened = (0_u8..3, option::weighted(0.9, 0_u8..24));
    prop_oneof![
        4 => (0_u128..8, versions()).prop_map(|(nonce, versions)| Command::Join(Join {
            nonce,
            name: Name::lossy("node"),
            versions,
            attests: None,
        })),
        6 => (session(), opened).prop_map(|(session, (number, kind))| Command::OpenLockspace {
            session,
            name: Name::lossy(&format!("lockspace {number}")),
            // Mostly the kind that goes with the number, so that they agree.
            options: kind.map(|kind| options(if kind < 3 { kind } else { number })),
        }),
        1 => (session(), lockspace())
            .prop_map(|(session, lockspace)| Command::LeaveLockspace { session, lockspace }),
        1 => session().prop_map(|session| Command::Goodbye { session }),
        2 => session().prop_map(|session| Command::Expire { session, why: Death::LeaseRanOut }),
        1 => (session(), lockspace(), session()).prop_map(|(dead, lockspace, by)| {
            Command::Replayed(NamedReplay { dead, lockspace, by })
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => of_servers().prop_map(Step::Plain),
        14 => of_sessions().prop_map(Step::Plain),
        2 => (0_usize..6).prop_map(Step::Lose),
        4 => (1_usize..4).prop_map(Step::Serve),
        3 => Just(Step::Move),
        3 => (any::<u8>(), server(), 0_u8..5)
            .prop_map(|(slot, to, what)| Step::Slot(slot, to, what)),
        4 => (0_usize..3, any::<bool>()).prop_map(|(which, done)| Step::Fence(which, done)),
        4 => (0_usize..3, any::<bool>()).prop_map(|(which, done)| Step::Replay(which, done)),
        2 => (0_u128..16, session()).prop_map(|(nonce, session)| Step::Attest(nonce, session)),
    ]
}

/// The few steps that leave nothing as it was.
pub(crate) fn step_or_force() -> impl Strategy<Value = Step> {
    prop_oneof![
        200 => step(),
        1 => Just(Step::Plain(Command::ForceNewEpochs)),
    ]
}

pub(crate) fn serving(state: &ClusterState, each: usize) -> Vec<Command> {
    let of = |master: Master| {
        let slots = state.slots().step_by(each);
        let its = slots.filter(|(_, slot)| slot.master == Some(master));
        Command::Serving {
            by: master.incarnation,
            slots: its.map(|(id, slot)| (id, slot.epoch)).collect(),
        }
    };
    state.running().map(of).collect()
}

pub(crate) fn moves(state: &ClusterState) -> Vec<Command> {
    let due = state.moves_due().into_iter();
    due.map(|(slot, epoch, to)| Command::MoveSlot { slot, epoch, to })
        .collect()
}

fn on_slot(state: &ClusterState, slot: u8, to: ServerId, what: u8) -> Command {
    let slot = SlotId::new(slot.into()).expect("a slot");
    let epoch = state.slot(slot).epoch;
    match what {
        0 => Command::MoveSlot { slot, epoch, to },
        1 => Command::RecoverSlot {
            slot,
            epoch,
            to: Some(to),
        },
        2 => Command::RecoverSlot {
            slot,
            epoch,
            to: None,
        },
        3 => Command::SlotEpochExhausted { slot, epoch },
        _ => Command::MoveSlot {
            slot,
            epoch: Epoch(epoch.0.wrapping_sub(1)),
            to,
        },
    }
}

/// What a step means in a state.
pub(crate) fn commands(step: &Step, state: &ClusterState) -> Vec<Command> {
    match *step {
        Step::Plain(ref command) => vec![command.clone()],
        Step::Lose(which) => {
            let lost = state.running().nth(which);
            let lost = lost.map(|master| Command::ServerLost {
                incarnation: master.incarnation,
            });
            lost.into_iter().collect()
        }
        Step::Serve(each) => serving(state, each),
        Step::Move => moves(state),
        Step::Slot(slot, to, what) => vec![on_slot(state, slot, to, what)],
        Step::Fence(which, done) => {
            let wanted = state.fences_wanted().nth(which);
            let outcome = match done {
                true => FenceOutcome::Done(Fenced::Command),
                false => FenceOutcome::Failed(Reason::lossy("no power switch")),
            };
            let session = wanted.map_or(SessionId(which as u64), |(session, _)| session);
            vec![Command::FenceResult { session, outcome }]
        }
        Step::Replay(which, done) => {
            let Some(replay) = state.replays_wanted().nth(which) else {
                return Vec::new();
            };
            let replay = NamedReplay {
                dead: replay.dead,
                lockspace: replay.lockspace,
                by: replay.by.unwrap_or(SessionId(which as u64)),
            };
            vec![match done {
                true => Command::Replayed(replay),
                false => Command::ReplayerFailed(replay),
            }]
        }
        Step::Attest(nonce, session) => {
            let known = state.sessions().get(&session);
            let attests = known.map(|known| Attest {
                session,
                nonce: known.nonce,
            });
            vec![Command::Join(Join {
                nonce,
                name: Name::lossy("node"),
                versions: Versions { min: 1, max: 1 },
                attests,
            })]
        }
    }
}
