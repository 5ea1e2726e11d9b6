//! Flags of requests and of answers, with the values that fs/dlm's user interface gives them.

use bitflags::bitflags;

bitflags! {
    /// What an operation asks for beside its mode. The numbers are fs/dlm's `DLM_LKF_*`.
    ///
    /// A request or conversion may carry bits that have no name here; they do nothing, as in fs/dlm. An
    /// unlock may carry `CANCEL`, `VALBLK`, `IVVALBLK` and `FORCEUNLOCK` only.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RequestFlags: u32 {
        /// Fail instead of waiting: the answer is `TryFailed`.
        const NOQUEUE = 0x1;
        /// On an unlock: give up what the lock waits for, and not the lock.
        const CANCEL = 0x2;
        /// fs/dlm's mark of a conversion. Ours has an input of its own, and ignores it there.
        const CONVERT = 0x4;
        /// The resource's value is read or stored with the operation.
        const VALBLK = 0x8;
        /// The conversion may not overtake conversions that already wait (conversions upward only).
        const QUECVT = 0x10;
        /// A conversion or unlock from PW or EX marks the resource's value as not valid.
        const IVVALBLK = 0x20;
        /// A conversion that would deadlock with another one gives up its mode and waits from NL.
        const CONVDEADLK = 0x40;
        /// The lock outlives its owner, as an orphan.
        const PERSISTENT = 0x80;
        /// The lock waits even where that makes a deadlock, and is no victim of the deadlock search.
        const NODLCKWT = 0x100;
        /// Accepted, does nothing.
        const NODLCKBLK = 0x200;
        /// A new NL lock that is granted whatever else waits.
        const EXPEDITE = 0x400;
        /// With `NOQUEUE`: a failure sends a blocking callback to the holders in the way.
        const NOQUEUEBAST = 0x800;
        /// It queues before all others instead of behind them.
        const HEADQUE = 0x1000;
        /// It may be granted out of its turn.
        const NOORDER = 0x2000;
        /// A request for an orphan of the session with this name and mode instead of a new lock.
        const ORPHAN = 0x4000;
        /// Where the mode wanted cannot be granted, PR will do.
        const ALTPR = 0x8000;
        /// Where the mode wanted cannot be granted, CW will do.
        const ALTCW = 0x1_0000;
        /// The unlock is meant for a lock that may still wait.
        const FORCEUNLOCK = 0x2_0000;
        /// Accepted, does nothing.
        const TIMEOUT = 0x4_0000;
    }
}

impl RequestFlags {
    /// What an unlock may carry.
    pub const OF_UNLOCK: Self = Self::CANCEL
        .union(Self::VALBLK)
        .union(Self::IVVALBLK)
        .union(Self::FORCEUNLOCK);

    /// Whether they go with a conversion, whatever the lock does (fs/dlm's `set_lock_args`).
    #[must_use]
    pub fn fit_conversion(self) -> bool {
        crate::resource::convert::flags_fit(self)
    }

    /// Whether they go with an unlock or a cancel, whatever the lock does (fs/dlm's `set_unlock_args`).
    #[must_use]
    pub fn fit_unlock(self) -> bool {
        crate::resource::release::flags_fit(self)
    }
}

bitflags! {
    /// What an answer says beside its status. The numbers are fs/dlm's `DLM_SBF_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatusFlags: u8 {
        /// The lock gave up its mode for NL while it waited (`CONVDEADLK`).
        const DEMOTED = 0x1;
        /// The resource's value is not valid: whoever wrote it last was lost, or said so.
        const VALNOTVALID = 0x2;
        /// It was granted in the mode that `ALTPR` or `ALTCW` names.
        const ALTMODE = 0x4;
    }
}
