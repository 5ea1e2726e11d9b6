//! An event as the journal keeps it: numbers, and no names but the resource's.

use dlm_core::{
    Epoch, LockId, LockspaceId, Mode, OpId, Owner, ResourceName, SessionId, SlotId, Status, Tick,
    Token,
};
use glockwork_proto::events::EventKind;

/// Something that happened. The fields are those of [`Event`](glockwork_proto::events::Event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub sequence: u64,
    /// When.
    pub at: Tick,
    /// What.
    pub kind: EventKind,
    /// The lockspace of the resource.
    pub lockspace: LockspaceId,
    /// The resource.
    pub name: ResourceName,
    /// Whose lock it is.
    pub session: SessionId,
    /// Which.
    pub lock: LockId,
    /// The operation that waits or ended, where one did.
    pub op: Option<OpId>,
    /// The task that asked last.
    pub owner: Owner,
    /// The mode before.
    pub had: Option<Mode>,
    /// The mode now, or the one that is wanted.
    pub mode: Option<Mode>,
    /// The grant's token.
    pub token: Token,
    /// How long it had waited, in microseconds.
    pub waited_us: Option<u64>,
    /// How long it had had the mode before, in microseconds.
    pub held_us: Option<u64>,
    /// Why it was denied.
    pub status: Option<Status>,
    /// Who wants what a callback asks for.
    pub by: Option<SessionId>,
    /// Whether it went with its task or its session.
    pub ended: bool,
    /// The resource's slot.
    pub slot: SlotId,
    /// That one's epoch.
    pub epoch: Epoch,
}

impl Entry {
    /// One about a resource that says nothing more yet.
    #[must_use]
    pub fn new(at: Tick, kind: EventKind, (lockspace, name): (LockspaceId, ResourceName)) -> Self {
        Self {
            sequence: 0,
            at,
            kind,
            lockspace,
            name,
            session: SessionId(0),
            lock: LockId(0),
            op: None,
            owner: Owner(0),
            had: None,
            mode: None,
            token: Token::default(),
            waited_us: None,
            held_us: None,
            status: None,
            by: None,
            ended: false,
            slot: SlotId::all().next().expect("there are slots"),
            epoch: Epoch(0),
        }
    }
}
