//! The glock as a pure machine: a cluster lock that a node caches and hands out to local holders.
//!
//! Like every pure crate of the project it has no clock, no I/O and no threads.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod glock;

pub use glock::flags::HolderFlags;
pub use glock::name::{GlockName, GlockType};
pub use glock::state::State;
