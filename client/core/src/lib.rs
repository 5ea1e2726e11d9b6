//! The client's two pure machines: the glock, a cluster lock that a node caches and hands out to local
//! holders, and the session, by which a client is a member of a cluster of lock servers ([`session`]).
//!
//! Like every pure crate of the project it has no clock, no I/O and no threads. Of glocks read [`glock`]
//! (the rules, and where they differ from gfs2's), then [`glock::event`] (the interface),
//! [`glock::transition`] (a change of state) and [`glock::demote`] (who makes room, and when).
//! [`invariants`] says what is always true.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod glock;
pub mod invariants;
pub mod limits;
pub mod session;

pub use glock::dump::{GlockDump, GlockFlags, HolderDump};
pub use glock::event::{Failure, HolderId, Input, Message, Output, Release};
pub use glock::flags::HolderFlags;
pub use glock::hold_time::HoldTime;
pub use glock::name::{GlockName, GlockType};
pub use glock::state::State;
pub use glock::{Demand, Glock, Holder};
