//! What a glock is told and what it wants done: the whole interface of the machine.

use core::fmt;

use dlm_core::{Mode, Owner, Refusal, RequestFlags, Status, Token};

use super::flags::HolderFlags;
use super::state::State;

/// A holder, granted or waiting. The caller numbers them and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub u64);

/// How a holder lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// It is done.
    Normal,
    /// It gives way, since it could not get another lock out of order: a demotion that waits for the
    /// minimum hold time runs at once.
    Yield,
}

/// What happens to a glock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A task wants to hold it. Ends in [`Output::Granted`] or [`Output::Failed`], once.
    Enqueue {
        /// The new holder.
        holder: HolderId,
        /// The state it needs; UN is refused.
        state: State,
        /// How it asks.
        flags: HolderFlags,
        /// The task; 0 is nobody in particular. A task other than 0 may be in the queue once.
        owner: Owner,
    },
    /// A holder lets go. One that still waits is taken out of the queue without an answer.
    Dequeue {
        /// Which.
        holder: HolderId,
        /// How.
        release: Release,
    },
    /// A waiting holder is to give up; it is answered [`Failure::Interrupted`]. One that was granted
    /// or answered already is left alone.
    CancelWait {
        /// Which.
        holder: HolderId,
    },
    /// The lock manager's blocking callback: somebody else wants the lock in this mode.
    Callback {
        /// The mode that the other one waits for.
        wanted: Mode,
    },
    /// The lock manager's answer to the last [`Message`] but a [`Message::Cancel`], whose own answer
    /// means nothing here and is not passed on.
    Reply {
        /// How it ended.
        status: Status,
        /// The mode held now; `None` where the lock does not exist.
        mode: Option<Mode>,
        /// The grant's token.
        token: Token,
    },
    /// The sync or invalidate hook that was last asked for has returned.
    HookDone,
    /// The instantiate hook has returned.
    Instantiated {
        /// Whether the object can be used.
        ok: bool,
    },
    /// The time that was last given with [`Output::ArmTimer`] is reached. A late or needless one
    /// does no harm.
    Timer,
    /// The node wants the cache back (memory is short): demote to UN as soon as nobody holds it.
    Demote,
    /// The node is done with the object: demote to UN, then give up the lock itself. When
    /// [`crate::Glock::is_free`] the glock can be dropped. An [`Input::Enqueue`] revokes it.
    Free,
    /// The session with the lock manager is over, and with it the lock.
    SessionLost,
}

/// What the caller of the machine must do, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The holder holds.
    Granted {
        /// Which.
        holder: HolderId,
        /// The fencing token of the lock it holds under.
        token: Token,
    },
    /// The holder is out of the queue.
    Failed {
        /// Which.
        holder: HolderId,
        /// Why.
        why: Failure,
    },
    /// Write back everything dirty, then send [`Input::HookDone`].
    Sync,
    /// Drop what may not be cached in state `to` (UN: everything; DF: data), then send
    /// [`Input::HookDone`].
    Invalidate {
        /// The state to come.
        to: State,
    },
    /// Read in the object, then send [`Input::Instantiated`].
    Instantiate,
    /// Send this to the lock manager.
    Dlm(Message),
    /// Send [`Input::Timer`] at `at`. Replaces an earlier one.
    ArmTimer {
        /// When.
        at: dlm_core::Tick,
    },
}

/// What goes to the lock manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Make the lock.
    Request {
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// The task on whose behalf.
        owner: Owner,
    },
    /// Change its mode.
    Convert {
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// The task on whose behalf; 0 for a demotion.
        owner: Owner,
    },
    /// Give it up.
    Unlock,
    /// Take back the request or conversion under way, if it still waits.
    Cancel,
}

/// Why a holder was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It was a try, and somebody is in the way.
    TryFailed,
    /// Its wait was cancelled.
    Interrupted,
    /// The session with the lock manager is over.
    Lost,
    /// The object could not be instantiated.
    Io,
    /// The task is in the queue of this glock already: it would wait for itself.
    Recursion,
    /// UN was asked for, which is not a state to hold.
    Unlocked,
    /// The glock has [`crate::limits::HOLDERS_PER_GLOCK_MAX`] holders.
    QueueLength,
    /// The lock manager did not accept the request.
    Refused(Refusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TryFailed => "somebody else holds the glock; release what you hold, or wait",
            Self::Interrupted => "the wait was interrupted",
            Self::Lost => "the session with the lock manager is over; join again",
            Self::Io => "the object could not be read in",
            Self::Recursion => "the task holds or waits for this glock already",
            Self::Unlocked => "a glock is not held in state UN; ask for SH, DF or EX",
            Self::QueueLength => "too many holders queue on this glock; try again later",
            Self::Refused(refusal) => refusal.advice(),
        })
    }
}

impl core::error::Error for Failure {}
