//! What can grow, and how far.

use glockwork_proto::node::INTERVAL_US;

/// The longest run, in seconds: a day.
pub const RUN_SECONDS_MAX: u64 = 86_400;

/// The most intervals of a life that are taken from a node: those of the longest run, and half as many again for what
/// ends late.
pub const LIFE_INTERVALS_MAX: usize = (RUN_SECONDS_MAX * 1_000_000 / INTERVAL_US) as usize / 2 * 3;

/// The most intervals of a node in a document: an hour of tenths of a second. Longer runs have longer intervals.
pub const INTERVALS_MAX: usize = 36_000;

/// The most events in a document; the rest are counted. Nobody reads more.
pub const EVENTS_MAX: usize = 1_000;

/// The most lives of a node in a document; the rest are counted. A node that ends once a second is no news after a
/// while.
pub const LIVES_MAX: usize = 100;

/// The most bytes in a scenario's file. An action takes a hundred.
pub const SCENARIO_BYTES_MAX: u64 = 64 << 10;

/// The most actions in a scenario, those included that undo others.
pub const ACTIONS_MAX: usize = 256;

/// The most bytes in a document that is read back: 16 nodes with [`INTERVALS_MAX`] intervals each take a twentieth.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// The most servers of a cluster that a scenario may name.
pub const SERVER_NUMBER_MAX: u64 = 1_000;
