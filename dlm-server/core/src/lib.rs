//! The lock manager as a pure machine.
//!
//! This crate has no clock, no I/O, no threads and no randomness: [`LockTable::step`] takes the time
//! and one input and appends what must happen to a list of outputs. The process around it
//! (`dlm-server`) turns outputs into frames.
//!
//! Start with [`mode`] (the tables are the specification), then [`resource`] (one resource's queues and
//! the grant rule), then [`table`] (all resources, sessions and limits), then [`deadlock`] (the wait-for
//! graph over locks and over what nodes report).
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod deadlock;
pub mod flags;
pub mod ids;
pub mod mode;
pub mod status;

pub use flags::RequestFlags;
pub use ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick, Token};
pub use mode::Mode;
pub use status::{Refusal, Status};
