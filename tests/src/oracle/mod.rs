//! The oracle: recordings of the kernel's lock manager, replayed against ours.
//!
//! | file | what |
//! |---|---|
//! | `language.rs` | the operations of a recording |
//! | `recording.rs` | a recording: scenarios of steps, each with what the kernel answered |
//! | `desk.rs` | what stands between a program and the kernel's lock manager: lock ids, tags, buffers, closed clients |
//! | `table.rs` | the lock table of `dlm-core` behind that desk |
//! | `grpc.rs` | a lock server behind that desk, asked over gRPC |
//! | `compare.rs` | the replay, and where the answers differ |
//! | `random.rs` | random scenarios in the same language |
//!
//! Whatever answers operations is a [`Kernel`]. Another way to the lock manager implements
//! [`desk::Locks`] and gets the rest from [`desk::Desk`].

pub mod compare;
pub mod desk;
pub mod grpc;
pub mod language;
pub mod random;
pub mod recording;
pub mod table;

pub use compare::{Answer, Disagreement, Outcome, replay};
pub use grpc::Server;
pub use language::Operation;
pub use recording::{ReadError, Scenario, read};
pub use table::Table;

/// What a call returned: `lkid` (accepted, a lock id was given), `0`, or an errno such as `-EINVAL`.
pub type Ret = &'static str;

/// What arrived because of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// To which client.
    pub client: u64,
    /// With the tag that the client gave the lock last.
    pub tag: String,
    /// What.
    pub what: What,
}

/// The two kinds of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An operation was completed.
    Completion {
        /// `0`, an errno, `-DLM_EUNLOCK` or `-DLM_ECANCEL`.
        status: String,
        /// Names of status flags, in the order of their bits.
        flags: Vec<String>,
        /// The caller's buffer without its trailing zeros, where it was copied back.
        value: Option<String>,
    },
    /// The lock is in the way of this mode.
    Blocking {
        /// The mode's name.
        mode: String,
    },
}

/// A lock manager as the recordings see one: clients, tags, return values, callbacks.
pub trait Kernel {
    /// Does one operation, and returns everything that came of it.
    fn step(&mut self, operation: &Operation) -> (Ret, Vec<Event>);
}
