//! Commands, states and answers come back as they were.

use dlm_core::cluster::{ClusterState, Death, Endpoint, Fenced, NAME_BYTES_MAX, Reason, Role};
use dlm_core::ids::GENERATION_BITS;
use dlm_core::link::{MasterPlace, PlaceOrigin, SlotPlace};
use dlm_core::{LockspaceOptions, ValueLength};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::convert;
use crate::render;

fn label<const BYTES_MAX: usize>() -> impl Strategy<Value = Text<BYTES_MAX>> {
    any::<String>().prop_map(|text| Text::lossy(&text))
}

fn kind() -> impl Strategy<Value = ClusterOptions> {
    any::<(bool, bool, bool)>().prop_map(|(fenced, replayed, breaks_deadlocks)| ClusterOptions {
        locks: LockspaceOptions {
            value_length: ValueLength::new(64).unwrap(),
            breaks_deadlocks,
        },
        fenced,
        replayed,
    })
}

fn versions() -> impl Strategy<Value = Versions> {
    (0_u32..3, 0_u32..3).prop_map(|(min, max)| Versions { min, max })
}

fn of_servers() -> impl Strategy<Value = Command> {
    let server = || (1_u64..4).prop_map(ServerId);
    let role = select(vec![Role::Learner, Role::Voter, Role::Leaving]);
    prop_oneof![
        (server(), label(), role).prop_map(|(server, peer_endpoint, role)| {
            Command::ServerAdded {
                server,
                peer_endpoint,
                role,
            }
        }),
        server().prop_map(|server| Command::ServerRemoved { server }),
        (server(), any::<u128>(), label(), label(), versions()).prop_map(
            |(server, nonce, endpoint, peer_endpoint, versions)| {
                let started = ServerStarted {
                    server,
                    nonce,
                    endpoint,
                    peer_endpoint,
                    versions,
                };
                Command::ServerStarted(started)
            }
        ),
        (0_u64..30).prop_map(|number| Command::ServerLost {
            incarnation: Incarnation(number)
        }),
    ]
}

fn of_sessions() -> impl Strategy<Value = Command> {
    let session = || (0_u64..6).prop_map(SessionId);
    // The first generations of the first bases.
    let lockspace = || (0_u32..4).prop_map(|base| LockspaceId(base << GENERATION_BITS | 1));
    let why = select(vec![
        Death::LeaseRanOut,
        Death::Evicted,
        Death::NotReasserted,
        Death::NotAnswering,
        Death::Contradicted,
        Death::ReplayFailed,
        Death::Attested,
        Death::Forced,
    ]);
    let by = [
        Fenced::Command,
        Fenced::Lease,
        Fenced::Operator,
        Fenced::Attested,
    ];
    let outcome = prop_oneof![
        select(by.to_vec()).prop_map(FenceOutcome::Done),
        label().prop_map(|reason: Reason| FenceOutcome::Failed(reason)),
    ];
    let attest = (session(), any::<u128>()).prop_map(|(session, nonce)| Attest { session, nonce });
    let replay = || {
        (session(), lockspace(), session()).prop_map(|(dead, lockspace, by)| NamedReplay {
            dead,
            lockspace,
            by,
        })
    };
    prop_oneof![
        4 => (any::<u128>(), label(), versions(), option::of(attest)).prop_map(
            |(nonce, name, versions, attests)| {
                Command::Join(Join { nonce, name, versions, attests })
            }
        ),
        1 => session().prop_map(|session| Command::Goodbye { session }),
        1 => (session(), why).prop_map(|(session, why)| Command::Expire { session, why }),
        2 => (session(), outcome)
            .prop_map(|(session, outcome)| Command::FenceResult { session, outcome }),
        1 => replay().prop_map(Command::Replayed),
        1 => replay().prop_map(Command::ReplayerFailed),
        4 => (session(), label(), option::of(kind())).prop_map(|(session, name, options)| {
            Command::OpenLockspace { session, name, options }
        }),
        1 => (session(), lockspace())
            .prop_map(|(session, lockspace)| Command::LeaveLockspace { session, lockspace }),
    ]
}

fn of_slots() -> impl Strategy<Value = Command> {
    let slot = || any::<u8>().prop_map(|number| SlotId::new(number.into()).unwrap());
    let epoch = || (0_u32..4).prop_map(Epoch);
    let to = || (1_u64..4).prop_map(ServerId);
    prop_oneof![
        (slot(), epoch(), to()).prop_map(|(slot, epoch, to)| Command::MoveSlot { slot, epoch, to }),
        (0_u64..30, vec((slot(), epoch()), 0..20)).prop_map(|(by, slots)| {
            Command::Serving {
                by: Incarnation(by),
                slots,
            }
        }),
        (slot(), epoch(), option::of(to())).prop_map(|(slot, epoch, to)| Command::RecoverSlot {
            slot,
            epoch,
            to
        }),
        (slot(), epoch()).prop_map(|(slot, epoch)| Command::SlotEpochExhausted { slot, epoch }),
        Just(Command::ForceNewEpochs),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![2 => of_servers(), 4 => of_sessions(), 2 => of_slots()]
}

fn state(commands: Vec<Command>) -> ClusterState {
    let mut state = ClusterState::new();
    for (at, command) in (1..).zip(commands) {
        state.apply(LogIndex(at), command, &mut Vec::new());
    }
    state
}

proptest! {
    #[test]
    fn a_command_comes_back_as_it_was(one in any_command()) {
        prop_assert_eq!(command(&render::command(&one)), Ok(one));
    }

    #[test]
    fn a_state_comes_back_as_it_was(commands in vec(any_command(), 0..60)) {
        let state = state(commands);
        prop_assert_eq!(convert::snapshot(&render::snapshot(&state)), Ok(state));
    }

    #[test]
    fn no_bytes_break_the_decoders(bytes in vec(any::<u8>(), 0..300)) {
        _ = command(&bytes);
        _ = convert::snapshot(&bytes);
    }

    /// What is read of damaged bytes is an error or a command that can be written again.
    #[test]
    fn damage_is_an_error_or_another_command(
        one in any_command(),
        damage in vec((any::<usize>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = render::command(&one);
        let len = bytes.len().max(1);
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at % len) {
                *place = byte;
            }
        }
        if let Ok(other) = command(&bytes) {
            prop_assert_eq!(command(&render::command(&other)), Ok(other));
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was(
        joined in any::<(u64, u64, u32, u64)>(),
        opened in (any::<u32>(), kind(), vec(any::<u64>(), 0..4)),
    ) {
        let (session, at, version, lease_us) = joined;
        let joined = Answer::Done(Joined {
            session: SessionId(session),
            joined: LogIndex(at),
            version,
            lease_us,
        });
        let wire = render::join_reply(joined.clone());
        prop_assert_eq!(join_reply(wire), Ok(joined));
        let (lockspace, options, replays) = opened;
        let opened = Answer::Done(Opened {
            lockspace: LockspaceId(lockspace),
            options,
            replays: replays.into_iter().map(SessionId).collect(),
        });
        let wire = render::open_lockspace_reply(opened.clone());
        prop_assert_eq!(open_lockspace_reply(wire), Ok(opened));
    }
}

#[test]
fn every_refusal_and_the_leader_come_back_as_they_were() {
    let mut read = 0;
    for why in -1..40 {
        let wire = wire::ClusterRefusal {
            why,
            ..Default::default()
        };
        let head = wire::ReplyHead {
            leader: None,
            refusal: Some(wire),
        };
        let Ok(answer) = plain_reply(wire::PlainReply { head: Some(head) }) else {
            continue;
        };
        let wire = render::plain_reply(answer.clone());
        let number = wire
            .head
            .clone()
            .and_then(|head| head.refusal)
            .map(|one| one.why);
        assert_eq!(number, Some(why));
        assert_eq!(plain_reply(wire), Ok(answer));
        read += 1;
    }
    assert_eq!(read, 25, "one for each refusal");
    let versions = CommandRefusal::Versions { min: 2, max: 5 };
    let now = Epoch(9);
    let answers = [
        Answer::Done(LogIndex(7)),
        Answer::Leader(None),
        Answer::Leader(Some(Endpoint::lossy("10.0.0.1:7170"))),
        Answer::Refused(versions),
        Answer::Refused(CommandRefusal::Epoch { now }),
        Answer::Refused(CommandRefusal::Options(ClusterOptions::default())),
    ];
    for answer in answers {
        let wire = render::keepalive_reply(answer.clone());
        assert_eq!(keepalive_reply(wire), Ok(answer));
    }
}

#[test]
fn the_map_comes_back_as_it_was_and_has_all_slots() {
    let master = MasterPlace {
        server: ServerId(3),
        incarnation: Incarnation(8),
        endpoint: Endpoint::lossy("10.0.0.3:7170"),
    };
    let place = |slot: SlotId| SlotPlace {
        slot,
        epoch: Epoch(2),
        since: LogIndex(5),
        origin: PlaceOrigin::Planned,
        serving: slot.number() > 9,
        master: (slot.number() > 7).then(|| master.clone()),
    };
    let map = Answer::Done(SlotMap {
        index: LogIndex(12),
        slots: SlotId::all().map(place).collect(),
    });
    let wire = render::map_reply(map.clone());
    assert_eq!(map_reply(wire.clone()), Ok(map));
    let refused = Err(WireError::Missing { what: "all slots" });
    let (mut short, mut mixed) = (wire.clone(), wire);
    short.map.as_mut().expect("a map").slots.pop();
    assert_eq!(map_reply(short), refused);
    mixed.map.as_mut().expect("a map").slots.swap(3, 4);
    assert_eq!(map_reply(mixed), refused);
    assert_eq!(map_reply(wire::MapReply::default()), refused);
}

#[test]
fn a_status_tells_no_nonce() {
    let name = Text::<NAME_BYTES_MAX>::lossy("node");
    let versions = Versions { min: 1, max: 1 };
    let (server, at) = (ServerId(1), Endpoint::lossy("10.0.0.1:7170"));
    let state = state(vec![
        Command::ServerAdded {
            server,
            peer_endpoint: at.clone(),
            role: Role::Voter,
        },
        Command::ServerStarted(ServerStarted {
            server,
            nonce: 1,
            endpoint: at.clone(),
            peer_endpoint: at,
            versions,
        }),
        Command::Join(Join {
            nonce: 2,
            name,
            versions,
            attests: None,
        }),
    ]);
    let status = render::status(&state, Some(server), server).state.unwrap();
    assert_eq!(status.sessions.len(), 1);
    assert!(
        status
            .sessions
            .iter()
            .all(|session| session.nonce.is_empty())
    );
    let processes = status
        .servers
        .iter()
        .filter_map(|server| server.process.as_ref());
    assert!(processes.clone().count() == 1 && processes.clone().all(|one| one.nonce.is_empty()));
}
