//! The lock manager as a pure machine.
//!
//! This crate has no clock, no I/O, no threads and no randomness: [`LockTable::step`] takes the time
//! and one input and appends what must happen to a list of outputs. The process around it
//! (`dlm-server`) turns outputs into frames. Two tables that took the same inputs are equal, and so a
//! run can be replayed from its inputs.
//!
//! How to read it:
//!
//! 1. [`mode`]: the six modes. The tables are the specification.
//! 2. `resource/`: one resource: its three queues, the grant rule, the conversion deadlock, blocking
//!    callbacks, the value block. The behaviour is that of Linux' fs/dlm, to the letter where it can be
//!    seen: recordings of it are replayed against this table.
//! 3. [`table`]: all resources and sessions; [`message`]: what it is told, and in which order it answers.
//! 4. [`recovery`]: a slot's table at its master: rebuilt when its master is lost, moved as it is.
//! 5. [`limits`] and [`invariants`]: what is refused, and what is always true.
//! 6. [`deadlock`]: the wait-for graph over locks and over the tasks that nodes report behind them, and
//!    whose wait has to end to break a deadlock.
//!
//! ```
//! use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
//! use dlm_core::{RequestFlags, ResourceName, SessionId, Status, Tick};
//!
//! let (session, lockspace) = (SessionId(1), LockspaceId(1));
//! let mut table = LockTable::new(Limits::DEFAULT, 1);
//! let mut out = Vec::new();
//! table.step(Tick(0), Input::SessionStarted { session }, &mut out);
//! table.step(Tick(0), Input::OpenLockspace { session, lockspace }, &mut out);
//! let request = Input::Request {
//!     session,
//!     op: OpId(1),
//!     lockspace,
//!     lock: LockId(1),
//!     name: ResourceName::new(b"a resource")?,
//!     mode: Mode::Ex,
//!     flags: RequestFlags::empty(),
//!     owner: Owner(0),
//! };
//! table.step(Tick(5), request, &mut out);
//! assert!(matches!(out[..], [Output::Done { status: Status::Granted, mode: Some(Mode::Ex), .. }]));
//! # Ok::<(), dlm_core::Refusal>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod call;
pub mod cluster;
pub mod deadlock;
pub mod detail;
pub mod flags;
mod hash;
pub mod ids;
pub mod invariants;
pub mod limits;
pub mod link;
pub mod message;
pub mod mode;
pub mod peer;
pub mod recovery;
mod resource;
mod slab;
pub mod slot;
pub mod status;
pub mod table;
pub mod value;
mod view;

pub use flags::{RequestFlags, StatusFlags};
pub use ids::{Epoch, Incarnation, LockId, LockspaceBase, LockspaceId, LogIndex, OpId, Owner};
pub use ids::{ResourceName, ServerId, SessionId, Tick, Token};
pub use limits::Limits;
pub use message::{Input, LockspaceOptions, Output};
pub use mode::Mode;
pub use slot::SlotId;
pub use status::{Refusal, Status};
pub use table::LockTable;
pub use value::{ValueBlock, ValueLength};
pub use view::{OwnedLock, SessionCounts};
