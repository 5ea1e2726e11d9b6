//! How much a cluster's state takes before a command is refused.

use crate::ids::{BASES, Epoch};
use crate::slot::SLOTS;

/// The most servers, running or not ([`CommandRefusal::Servers`](super::CommandRefusal::Servers)). With
/// so many each has four slots; a Raft group of more than seven voters is slower and not safer, and what
/// is above that are learners.
pub const SERVERS_MAX: usize = 64;

/// The most sessions, dead ones included until they are purged
/// ([`CommandRefusal::Sessions`](super::CommandRefusal::Sessions)). A node is one session however many
/// tasks it has; each slot's recovery waits for all of them.
pub const SESSIONS_MAX: usize = 4096;

/// The most lockspaces ([`CommandRefusal::Lockspaces`](super::CommandRefusal::Lockspaces)): a filesystem
/// each, or a service.
pub const LOCKSPACES_MAX: usize = 1024;

/// The most lockspaces that have ended and are remembered by their names, so that the tokens of their
/// resources go on when they are opened again. With more, the one that ended first is forgotten.
pub const ENDED_LOCKSPACES_MAX: usize = LOCKSPACES_MAX;

/// The most lockspaces that one session has open
/// ([`CommandRefusal::LockspacesOfSession`](super::CommandRefusal::LockspacesOfSession)).
pub const LOCKSPACES_OF_SESSION_MAX: usize = 64;

/// The most planned moves under way ([`CommandRefusal::Moves`](super::CommandRefusal::Moves)). Requests on
/// a slot wait while it moves, so few do at a time; several, because each costs two rounds of the log.
pub const MOVES_MAX: usize = 8;

/// The last epoch: 24 bits of each token are the epoch's. A slot that moves every second reaches it after
/// half a year, one that moves with a server's failure never.
pub const EPOCH_MAX: Epoch = Epoch((1 << 24) - 1);

/// How far [`Command::ForceNewEpochs`](super::Command::ForceNewEpochs) moves every epoch: more than any
/// slot can have moved in entries of the log that are lost with the majority, and 24 bits hold four
/// thousand such steps.
pub const FORCED_EPOCHS: u32 = 1 << 12;

/// How far it moves the next session's number, for the same reason.
pub const FORCED_SESSIONS: u64 = 1 << 32;

/// How far it moves the next generation of every base that lockspaces have, for the same reason. 20 bits
/// hold 256 such steps.
pub const FORCED_GENERATIONS: u32 = 1 << 12;

// Every server can have a slot.
const _: () = assert!(SERVERS_MAX <= SLOTS as usize);
// One session cannot take all lockspaces.
const _: () = assert!(LOCKSPACES_OF_SESSION_MAX < LOCKSPACES_MAX);
// Every lockspace that is open or remembered has a base of its own, and there are as many again for names
// that come and go.
const _: () = assert!(2 * (LOCKSPACES_MAX + ENDED_LOCKSPACES_MAX) <= BASES as usize);
// A snapshot names each session of each lockspace: eight bytes and a tag each, a few megabytes at most.
const _: () = assert!(SESSIONS_MAX * LOCKSPACES_OF_SESSION_MAX * 12 <= 4 << 20);
