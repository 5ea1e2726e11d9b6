//! What happens to locks, as a server's journal has it, with names in the place of numbers.

use dlm_core::{
    Epoch, LockId, Mode, Owner, ResourceName, ServerId, SessionId, SlotId, Status, Token,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A request or a conversion waits.
    Waits,
    /// A new lock is granted.
    Granted,
    /// A lock has another mode, that excludes more, or other things.
    Converted,
    /// A lock has a mode that excludes less.
    Demoted,
    /// The holder of a lock was told that somebody wants it.
    Callback,
    /// A lock is no more.
    Released,
    /// A wait was given up.
    Cancelled,
    /// A request or a conversion was not granted: it was a try, or a deadlock's victim, or refused.
    Denied,
    /// A slot is served, with what its clients claimed.
    Recovered,
    /// A slot is served, with the table of the server that had it before.
    Moved,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Waits,
        Self::Granted,
        Self::Converted,
        Self::Demoted,
        Self::Callback,
        Self::Released,
        Self::Cancelled,
        Self::Denied,
        Self::Recovered,
        Self::Moved,
    ];

    /// As it is called on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Granted => "granted",
            Self::Converted => "converted",
            Self::Demoted => "demoted",
            Self::Callback => "callback",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Recovered => "recovered",
            Self::Moved => "moved",
        }
    }

    /// Whether it is about a slot, and about no lock.
    #[must_use]
    pub const fn is_of_slot(self) -> bool {
        matches!(self, Self::Recovered | Self::Moved)
    }
}

/// An event. One of a slot ([`EventKind::is_of_slot`]) has no resource and no lock: names are empty there and
/// numbers zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The server.
    pub server: ServerId,
    /// Its number in that server's journal: 1, 2, 3 and so on since the process began.
    pub sequence: u64,
    /// When, in microseconds since the server's process began.
    pub at_us: u64,
    /// How long before it was told that was, in microseconds.
    pub age_us: u64,
    /// What happened.
    pub kind: EventKind,
    /// The lockspace's name.
    pub lockspace: String,
    /// The resource's name.
    pub name: ResourceName,
    /// Whose lock it is.
    pub session: SessionId,
    /// What people call that session.
    pub session_name: String,
    /// The lock's number in that session.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// The mode that the lock had before; while it waits and when somebody wants it, the one that it has.
    pub had: Option<Mode>,
    /// The mode that it has now; the one that it waits for or was denied, or that somebody wants of it.
    pub mode: Option<Mode>,
    /// The grant's token, zero where there is none.
    pub token: Token,
    /// How long it had waited, in microseconds, where it had.
    pub waited_us: Option<u64>,
    /// How long it had had the mode that it gave up, in microseconds.
    pub held_us: Option<u64>,
    /// Why it was denied.
    pub status: Option<Status>,
    /// Of a callback: the session that wants it, where that asked just now, and its name.
    pub by: Option<(SessionId, String)>,
    /// Whether it went with its task, its session, or the session's leave from the lockspace.
    pub ended: bool,
    /// Its slot.
    pub slot: SlotId,
    /// That one's epoch.
    pub epoch: Epoch,
}

/// The last events of a resource, as its master has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The oldest first; the last service of the slot among them.
    pub events: Vec<Event>,
    /// The server that masters it.
    pub server: ServerId,
    /// Its slot.
    pub slot: SlotId,
    /// That one's epoch.
    pub epoch: Epoch,
    /// Events of this resource that are not known any more.
    pub dropped: u64,
    /// Of how many resources the server remembers something.
    pub resources: u64,
    /// How many it forgot since its process began, because others came.
    pub forgotten: u64,
}
