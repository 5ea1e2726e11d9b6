//! The fault protocol: one task, one I/O on user memory, and the set of glocks that it holds.
//!
//! A direct I/O holds its target's glock (DF) and needs pages of its buffer; a page that lies in a
//! mapping of another file needs that file's glock (SH to read it, EX to write it). User space chose the
//! pair, so no static order exists, and two nodes that simply wait deadlock.
//!
//! [`Record`] is what the kernel's `faults_disabled_mapping` would have grown into: the set of glocks the
//! task holds, the policy, and where in a cycle of locks it is. The code around it (a node, a test, a model
//! checker) feeds it an [`Event`] and carries out the [`Action`]s that come back, in their order; an action
//! that asks for something ([`Action::Lock`], [`Action::Try`], [`Action::Submit`], [`Action::Prefault`]) is
//! always the last one, and its answer is the next event.
//!
//! Under [`Policy::Ordered`], for a page of mapping M needed in state S:
//!
//! | case | rule |
//! |---|---|
//! | M is held, and the held state covers S | go on under that hold |
//! | M is the target (DF covers neither SH nor EX) | the bounce path |
//! | M is held in too weak a state | no conversion: drop M and all above, take them again in order |
//! | M is above everything held | in order: wait for it |
//! | M is below something held | trylock; if that fails drop what is above M, wait for M, take the dropped ones back in order, walk the buffer again |
//!
//! Every wait is in order, so nobody deadlocks. Locks are kept until the I/O ends, so every cycle adds a
//! lock to the set or strengthens one: an I/O over buffers from k mappings cycles at most 2k times, and k
//! times where every access is of one kind, as it is within one read or one write.

mod action;
mod block;
pub mod invariants;
mod nofault;
mod ordered;
mod policy;
mod record;
mod try_cycle;

pub use action::{Access, Action, Direction, Event, Held, Stats, Trial, Why};
pub use policy::{Policy, UnknownPolicy};
pub use record::Record;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
