//! What servers say to each other.

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::{
    Attest, ClusterOptions, CommandRefusal, Death, Endpoint, NamedReplay, ServerStarted, Text,
    Versions,
};
use dlm_core::deadlock::Queue;
use dlm_core::link::{PlaceOrigin, SlotMap, SlotPlace};
use dlm_core::peer::{HandedLedger, HandedSession, PeerMessage, Proposal};
use dlm_core::recovery::{
    ImageChunk, ImageEntry, ImageLock, ImageResource, ImageStart, StreamPart,
};
use dlm_core::{
    Epoch, Incarnation, LockId, LockspaceId, LogIndex, OpId, Owner, ServerId, SessionId, SlotId,
    StatusFlags, Tick, Token,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::link::{at, event, slot_map};
use super::{flags, mode, options, resource_name, value};
use crate::peer::{PeerFrame, PeerHello, PeerWelcome};
use crate::version::VersionRange;

fn text<const BYTES_MAX: usize>() -> impl Strategy<Value = Text<BYTES_MAX>> {
    // The longest too: what a message may take is checked with them.
    let long = any::<char>().prop_map(|one| one.to_string().repeat(BYTES_MAX));
    prop_oneof![3 => any::<String>(), 1 => long].prop_map(|text| Text::lossy(&text))
}

fn versions() -> impl Strategy<Value = Versions> {
    any::<(u32, u32)>().prop_map(|(one, other)| Versions {
        min: one.min(other),
        max: one.max(other),
    })
}

fn server() -> impl Strategy<Value = ServerId> {
    (1..=u64::MAX).prop_map(ServerId)
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<u64>().prop_map(SessionId)
}

fn lockspace() -> impl Strategy<Value = LockspaceId> {
    any::<u32>().prop_map(LockspaceId)
}

fn cluster_options() -> impl Strategy<Value = ClusterOptions> {
    (options(), any::<(bool, bool)>()).prop_map(|(locks, (fenced, replayed))| ClusterOptions {
        locks,
        fenced,
        replayed,
    })
}

/// Any call.
pub(crate) fn call() -> impl Strategy<Value = Call> {
    let attest = (session(), any::<u128>()).prop_map(|(session, nonce)| Attest { session, nonce });
    let join = (any::<u128>(), text(), versions(), option::of(attest));
    let replay = (session(), lockspace(), session());
    let own = || (session(), any::<u128>());
    prop_oneof![
        join.prop_map(|(nonce, name, versions, attests)| Call::Join {
            nonce,
            name,
            versions,
            attests,
        }),
        own().prop_map(|(session, nonce)| Call::KeepAlive { session, nonce }),
        own().prop_map(|(session, nonce)| Call::Goodbye { session, nonce }),
        (own(), text(), option::of(cluster_options())).prop_map(
            |((session, nonce), name, options)| Call::OpenLockspace {
                session,
                nonce,
                name,
                options,
            }
        ),
        (own(), lockspace()).prop_map(|((session, nonce), lockspace)| Call::LeaveLockspace {
            session,
            nonce,
            lockspace,
        }),
        (replay, any::<u128>()).prop_map(|((dead, lockspace, by), nonce)| Call::Replayed {
            replay: NamedReplay {
                dead,
                lockspace,
                by,
            },
            nonce,
        }),
        session().prop_map(|session| Call::Evict { session }),
        session().prop_map(|session| Call::FenceConfirmed { session }),
        Just(Call::Map),
    ]
}

/// All slots, with masters of an arbitrary map.
fn whole_map() -> impl Strategy<Value = SlotMap> {
    (slot_map(), at()).prop_map(|(map, (_, epoch))| {
        let place = |slot: SlotId| {
            let found = map
                .slots
                .get(slot.number() as usize % map.slots.len().max(1));
            let found = found.cloned().unwrap_or(SlotPlace {
                slot,
                epoch,
                since: LogIndex(1),
                origin: PlaceOrigin::Lost,
                serving: false,
                master: None,
            });
            SlotPlace { slot, ..found }
        };
        SlotMap {
            index: map.index,
            slots: SlotId::all().map(place).collect(),
        }
    })
}

fn refusal() -> impl Strategy<Value = CommandRefusal> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(min, max)| CommandRefusal::Versions { min, max }),
        cluster_options().prop_map(CommandRefusal::Options),
        any::<u32>().prop_map(|now| CommandRefusal::Epoch { now: Epoch(now) }),
        select(vec![CommandRefusal::NoSuchSession, CommandRefusal::Moves]),
    ]
}

/// Any answer to a call.
pub(crate) fn call_answer() -> impl Strategy<Value = CallAnswer> {
    let opened = (lockspace(), cluster_options(), vec(session(), 0..4));
    prop_oneof![
        any::<(u64, u64, u32, u64)>().prop_map(|(session, joined, version, lease_us)| {
            CallAnswer::Joined {
                session: SessionId(session),
                joined: LogIndex(joined),
                version,
                lease_us,
            }
        }),
        any::<u64>().prop_map(|index| CallAnswer::Alive {
            map_index: LogIndex(index)
        }),
        opened.prop_map(|(lockspace, options, replays)| CallAnswer::Opened {
            lockspace,
            options,
            replays,
        }),
        whole_map().prop_map(CallAnswer::Map),
        Just(CallAnswer::Done),
        option::of(text()).prop_map(CallAnswer::NotLeader),
        refusal().prop_map(CallAnswer::Refused),
        Just(CallAnswer::Failed),
    ]
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let endpoint = text;
    let started = (server(), any::<u128>(), endpoint(), endpoint(), versions());
    let why = select(vec![
        Death::NotReasserted,
        Death::NotAnswering,
        Death::Contradicted,
    ]);
    prop_oneof![
        started.prop_map(|(server, nonce, endpoint, peer_endpoint, versions)| {
            Proposal::Started(ServerStarted {
                server,
                nonce,
                endpoint,
                peer_endpoint,
                versions,
            })
        }),
        (any::<u64>(), vec(at(), 0..20)).prop_map(|(by, slots)| Proposal::Serving {
            by: Incarnation(by),
            slots,
        }),
        (session(), why).prop_map(|(session, why)| Proposal::Evict { session, why }),
        at().prop_map(|(slot, epoch)| Proposal::EpochExhausted { slot, epoch }),
        at().prop_map(|(slot, epoch)| Proposal::Recover { slot, epoch }),
    ]
}

fn image_resource() -> impl Strategy<Value = ImageResource> {
    (any::<(u32, u64, u8, u64, bool)>(), resource_name(), value()).prop_map(
        |(numbers, name, value)| {
            let (lockspace, token, token_modes, sequence, value_invalid) = numbers;
            ImageResource {
                lockspace: LockspaceId(lockspace),
                name,
                token: Token(token),
                token_modes,
                value: value.map(|value| (sequence, value)),
                value_invalid,
            }
        },
    )
}

fn image_lock() -> impl Strategy<Value = ImageLock> {
    let queue = select(vec![Queue::Granted, Queue::Converting, Queue::Waiting]);
    (
        any::<(u64, u64, u64, u64, u64, u64, u64)>(),
        (queue, option::of(mode()), option::of(mode()), mode()),
        (flags(), 0u8..8, any::<u8>(), value()),
    )
        .prop_map(|(numbers, modes, (flags, status, marks, unstored))| {
            let (session, lock, owner, op, age_us, serial, token) = numbers;
            let (queue, granted, requested, told) = modes;
            ImageLock {
                session: SessionId(session),
                lock: LockId(lock),
                owner: Owner(owner),
                op: OpId(op),
                age_us,
                serial,
                token: Token(token),
                flags,
                queue,
                granted,
                requested,
                told,
                status: StatusFlags::from_bits_truncate(status),
                marks,
                unstored,
            }
        })
}

fn image_start() -> impl Strategy<Value = ImageStart> {
    let part = (session(), vec(any::<u8>(), 0..40)).prop_map(|(session, bytes)| StreamPart {
        session,
        bytes: bytes.into(),
    });
    let unknown = (session(), vec(lockspace(), 0..20));
    (vec(part, 0..3), vec(unknown, 0..3))
        .prop_map(|(streams, unknown)| ImageStart { streams, unknown })
}

fn image_chunk() -> impl Strategy<Value = ImageChunk> {
    let entry = prop_oneof![
        image_resource().prop_map(ImageEntry::Resource),
        image_lock().prop_map(ImageEntry::Lock),
        any::<(u64, u64)>()
            .prop_map(|(session, lock)| ImageEntry::Order(SessionId(session), LockId(lock))),
        (lockspace(), resource_name(), any::<u64>())
            .prop_map(|(lockspace, name, age_us)| ImageEntry::Remnant(lockspace, name, age_us)),
    ];
    (
        any::<(u32, bool)>(),
        option::of(image_start()),
        vec(entry, 0..8),
    )
        .prop_map(|((number, last), start, entries)| ImageChunk {
            number,
            last,
            start,
            entries,
        })
}

fn ledger() -> impl Strategy<Value = HandedLedger> {
    let op = || any::<u64>().prop_map(OpId);
    let waiting = (op(), any::<u64>().prop_map(LockId), any::<u64>());
    let part = (
        session(),
        vec((op(), event()), 0..4),
        vec(waiting, 0..4),
        vec(event(), 0..4),
    )
        .prop_map(|(session, answered, waiting, notices)| HandedSession {
            session,
            answered,
            waiting,
            notices,
        });
    vec(part, 0..3).prop_map(|sessions| HandedLedger { sessions })
}

/// Anything that a server says to another.
pub(crate) fn message() -> impl Strategy<Value = PeerMessage> {
    let lease = || any::<(u64, u64)>().prop_map(|(by, sent)| (Incarnation(by), Tick(sent)));
    let id = || any::<u64>().prop_map(CallId);
    prop_oneof![
        1 => vec(any::<u8>(), 0..300).prop_map(PeerMessage::Raft),
        1 => lease().prop_map(|(incarnation, sent)| PeerMessage::Renew { incarnation, sent }),
        1 => (lease(), any::<u64>()).prop_map(|((incarnation, sent), applied)| {
            let applied = LogIndex(applied);
            PeerMessage::Renewed { incarnation, sent, applied }
        }),
        3 => (id(), call()).prop_map(|(call, asked)| PeerMessage::Relay { call, asked }),
        3 => (id(), call_answer())
            .prop_map(|(call, answer)| PeerMessage::Relayed { call, answer }),
        3 => proposal().prop_map(PeerMessage::Propose),
        1 => (at(), any::<u32>()).prop_map(|((slot, epoch), chunk)| PeerMessage::ImageWanted {
            slot,
            epoch,
            chunk,
        }),
        4 => (at(), image_chunk(), option::of(ledger())).prop_map(
            |((slot, epoch), chunk, ledger)| PeerMessage::Image {
                slot,
                epoch,
                chunk,
                ledger,
            }
        ),
    ]
}

fn hello() -> impl Strategy<Value = PeerHello> {
    let endpoint = text().prop_map(|text: Endpoint| text);
    (any::<(u128, u128)>(), server(), versions(), endpoint).prop_map(
        |((cluster, identity), server, Versions { min, max }, endpoint)| PeerHello {
            cluster,
            server,
            identity,
            versions: VersionRange { min, max },
            endpoint,
        },
    )
}

/// Any frame of a server.
pub(crate) fn frame() -> impl Strategy<Value = PeerFrame> {
    let messages = vec(message(), 0..6).prop_map(|messages| PeerFrame {
        hello: None,
        messages,
    });
    prop_oneof![1 => hello().prop_map(PeerFrame::from), 6 => messages]
}

/// Any answer to a hello.
pub(crate) fn welcome() -> impl Strategy<Value = PeerWelcome> {
    (any::<(u128, u128, u32)>(), server()).prop_map(|((cluster, identity, version), server)| {
        PeerWelcome {
            cluster,
            server,
            identity,
            version,
        }
    })
}
