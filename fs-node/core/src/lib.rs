//! The pure half of a cluster-filesystem node.
//!
//! [`fault`] is the protocol that the project exists for: what a task does that holds one file's
//! cluster lock for a direct I/O and needs a page of another file. [`order`] is the one order of locks
//! that it relies on. [`page`] is what the node knows about the pages of an inode, and [`flat`] the
//! volume's layout. There is no clock, no I/O and no thread here.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod fault;
pub mod flat;
pub mod limits;
pub mod order;
pub mod page;
