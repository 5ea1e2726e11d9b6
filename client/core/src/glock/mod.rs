//! One glock: its vocabulary and its machine.

pub mod flags;
pub mod name;
pub mod state;
