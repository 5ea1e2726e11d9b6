//! How much a client can make the server keep, and how long the server waits for one.
//!
//! What the lock table itself may keep stands in [`dlm_core::Limits`].

use std::time::Duration;

/// The most streams at once: one for each session that there may be, and for a moment a second.
pub const STREAMS_MAX: usize = 2 * dlm_core::cluster::limits::SESSIONS_MAX;

/// The most frames that were read and not yet handled, over all sessions. Small, because a frame can be
/// large: what does not fit stays in the sockets, and flow control slows its sender down.
pub const FRAMES_QUEUED_MAX: usize = 64;

/// The most messages that wait for one client to read them; one more ends its stream. Events are kept
/// until they are acknowledged, so nothing is lost by that, and a client is read no further long before.
pub const OUTPUTS_QUEUED_MAX: usize = 1 << 18;

/// The most graphs being collected at once.
pub const LOOKS_MAX: usize = 16;

/// How long a client may take to say hello.
pub const HELLO_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a session may take to report its local holders. It is an answer from memory, so a node that
/// needs longer is stopped or cut off.
pub const REPORT_WAIT_MAX: Duration = Duration::from_millis(500);

/// How long somebody waits before it is looked whether that is a deadlock, in lockspaces that want them
/// broken. Most waits are shorter, and whoever is in a deadlock loses little by it.
pub const WAIT_SEARCHED_AFTER: Duration = Duration::from_millis(100);

/// A look that is made for nobody pauses for so many times what it cost: it takes the server a twentieth
/// of its time at most.
pub const SEARCH_PAUSE_FACTOR: u32 = 20;

/// The time between the two looks at a cycle. A deadlock stays; what only looked like one, because its
/// parts were seen at different moments, is gone after a few round trips.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_millis(50);

/// The most bytes in a graph's reply.
pub const GRAPH_BYTES_MAX: usize = glockwork_proto::limits::GRAPH_REPLY_BYTES_MAX;

/// How often an idle connection is probed, and how long the answer may take: a client that vanished
/// without closing its connection is found out in the sum of both.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`PROBE_INTERVAL`].
pub const PROBE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long the clients' connections may take to close when the server stops.
pub const STOP_WAIT_MAX: Duration = Duration::from_secs(2);

/// The last events that a server remembers of all its resources. It is read twenty times a second by whoever
/// watches, which is enough for eighty thousand events a second.
pub const EVENTS_MAX: usize = 4096;

/// The last events that it remembers of one resource.
pub const EVENTS_PER_RESOURCE_MAX: usize = 16;

/// For so many resources: some six megabytes, taken as they come.
pub const RESOURCES_REMEMBERED_MAX: usize = 2048;

/// The most waits of which it is known when they began. Those beyond end without saying how long they took.
pub const WAITS_TIMED_MAX: usize = 1 << 16;

/// The most sessions, and the most lockspaces, whose names are remembered for events of before they ended.
pub const NAMES_REMEMBERED_MAX: usize = 4096;

/// The most locks of one session in one slot that are told of one by one when they go together. The others
/// count as missed.
pub const RELEASES_TOLD_MAX: usize = 256;

/// The most that watch a server at once.
pub const WATCHES_MAX: usize = 64;

/// How often whoever watches looks for events.
pub const WATCH_EVERY: Duration = Duration::from_millis(50);

/// The most events in one reply to whoever watches, and in one look at the journal: some ten microseconds.
pub const EVENTS_PER_REPLY_MAX: usize = 512;

/// The most replies that wait for one watcher to read them.
pub const REPLIES_QUEUED_MAX: usize = 4;

/// How often a watcher hears of a server that it is there, and how long it may say nothing before it counts
/// as one that cannot be reached.
pub const WATCH_PULSE: Duration = Duration::from_secs(1);
/// See [`WATCH_PULSE`].
pub const WATCH_SILENCE_MAX: Duration = Duration::from_secs(4);

/// How long somebody waits before whoever watches hears of it when that is a deadlock, and how often it is
/// looked.
pub const CYCLES_EVERY: Duration = Duration::from_secs(1);
