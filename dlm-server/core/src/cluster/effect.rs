//! What the servers have to do about an applied command. Every server gets all of them, in order, and
//! does its part: the leader the fences, a master what becomes of its slots, all what becomes of sessions.

use super::fencing::{FenceNeed, Replay};
use super::sessions::Death;
use super::slots::{Master, Origin};
use crate::ids::{Epoch, Incarnation, LockspaceId, ServerId, SessionId};
use crate::slot::SlotId;

/// Something that is different from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A server was added or removed, or its role or its addresses changed.
    MemberChanged {
        /// Which.
        server: ServerId,
    },
    /// A server's process started.
    IncarnationStarted {
        /// Whose.
        server: ServerId,
        /// Which.
        incarnation: Incarnation,
    },
    /// A server's process is lost. One that is not dead drops every table, and announces itself again
    /// with another nonce.
    IncarnationLost {
        /// Whose.
        server: ServerId,
        /// Which.
        incarnation: Incarnation,
    },
    /// A slot has another master, or another epoch. Who was master stops; who is begins as the origin says.
    SlotMoved {
        /// Which.
        slot: SlotId,
        /// Its epoch from now on.
        epoch: Epoch,
        /// Its master until now.
        before: Option<Master>,
        /// Its master from now on.
        master: Option<Master>,
        /// What the new master begins with.
        origin: Origin,
    },
    /// A slot's master serves it.
    SlotServes {
        /// Which.
        slot: SlotId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// A session joined.
    SessionJoined {
        /// Which.
        session: SessionId,
    },
    /// A session is dead: its messages are refused from now on, and what it holds stays held.
    SessionDied {
        /// Which.
        session: SessionId,
        /// Why.
        why: Death,
    },
    /// The leader fences a dead session and proposes the result.
    FenceWanted {
        /// Whom.
        session: SessionId,
        /// How.
        need: FenceNeed,
    },
    /// A fence failed: the session stays as it is until one does not.
    FenceFailed {
        /// Whose.
        session: SessionId,
        /// How often so far.
        failures: u32,
    },
    /// A journal of a fenced session has to be replayed, by whom it names, or, where it names nobody, by
    /// the next session that opens the lockspace.
    ReplayWanted(Replay),
    /// A session opened a lockspace that it did not have open.
    LockspaceOpened {
        /// Who.
        session: SessionId,
        /// What.
        lockspace: LockspaceId,
    },
    /// What a session has in a lockspace goes.
    LockspaceLeft {
        /// Whose.
        session: SessionId,
        /// Where.
        lockspace: LockspaceId,
        /// Whether the session is dead, so that values which it might have been writing are not valid.
        dirty: bool,
    },
    /// A session is gone, and all that it has left in any lockspace goes.
    SessionPurged {
        /// Which.
        session: SessionId,
        /// Whether values that it might have been writing are not valid.
        dirty: bool,
    },
    /// Nobody has the lockspace open any more: it is gone, and its number does not come back.
    LockspaceEnded {
        /// Which.
        lockspace: LockspaceId,
    },
}
