//! A cluster in one thread, under one seed: servers, clients, their clocks, disks and the network between
//! them, and everything that goes wrong with them.
//!
//! How to read it:
//!
//! | file | what |
//! |---|---|
//! | `process.rs` | what a process is: a machine that is told things and wants things done |
//! | `world.rs` | virtual time, and what happens when |
//! | `random.rs` | the seed, split by purpose; the digest by which two runs are compared |
//! | `clock.rs` | every machine's own clock |
//! | `power.rs` | processes start, die, stand still; links shut, streams break |
//! | `network.rs` | links and what they do with a message |
//! | `streams.rs` | streams over them, that keep order and break |
//! | `faults.rs` | what goes wrong, when, and with what; what was covered |
//! | `report.rs` | what is printed of a seed that failed |
//! | `log/` | replicas of the log, with clients that join and leave |
//! | `cluster/` | the whole cluster: servers, sessions, locks |
//!
//! Nothing here waits, and nothing reads a clock of the machine that it runs on. The same seed makes the
//! same run, bit for bit: [`World::trace`] is a digest of all that any process was told and said.
//!
//! What is true in the world (when a message arrived, when a process stopped) is written into a
//! [`History`](crate::checkers::History), with times that no process knows; the
//! [checkers](crate::checkers) read that.

pub mod clock;
pub mod cluster;
pub mod faults;
pub mod log;
pub mod network;
mod power;
pub mod process;
pub mod random;
pub mod report;
mod streams;
#[cfg(test)]
mod tests;
mod world;

pub use clock::Clock;
pub use faults::{Fault, Faults, Kind, Plan};
pub use network::{Delay, Gate, Network};
pub use process::{Device, Input, Output, Process, ProcessId, StreamKey};
pub use random::{Purpose, Random};
pub use world::{State, World};
