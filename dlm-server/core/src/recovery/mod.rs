//! One slot at its master: rebuilt from what its clients claim, served, handed over.
//!
//! | file | what |
//! |---|---|
//! | `claim.rs` | what a client says that it has |
//! | `message.rs` | what a master is told and what it says |
//! | `master.rs` | the master: its phases, and who is known to it |
//! | `queue.rs` | operations that came before the slot is served |
//! | `conflicts.rs` | claims that make no sense, or that cannot all be true |
//! | `values.rs` | what is left of a value |
//! | `rebuild.rs` | a table made of claims |
//! | `image.rs` | a table taken apart for another master, and put together there |
//!
//! Locks live in the memory of their slot's master only. Where that is lost the cluster names another
//! one, under a larger epoch, and every session that was there before says what it holds and waits for
//! in the slot. When all have answered, or were declared dead, the slot is served again. A session that
//! died without an answer took the only record of its locks with it: until it is purged, the lockspaces
//! that it had open are closed in this slot.
//!
//! A planned move loses nothing: the old master stops and sends its table.

mod claim;
mod conflicts;
mod image;
mod master;
mod message;
mod queue;
mod rebuild;
mod values;

pub use claim::{Claim, KnownValue, Stands, surely_held};
pub use conflicts::{ClaimFault, EvictReason};
pub use image::{IMAGE_ENTRIES_MAX, StreamPart};
pub use image::{ImageChunk, ImageEntry, ImageLock, ImageResource, ImageStart};
pub use master::{PhaseName, SlotMaster};
pub use message::{Begin, Config, Member, SlotInput, SlotOutput, SlotRefusal, Standing};
