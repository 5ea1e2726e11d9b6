//! The limits of the client library, each with its reason.

use std::time::Duration;

use glock_core::session::{ENDPOINTS_MAX, OPERATIONS_MAX};

/// The most operations that may queue for the session before new locks are refused.
///
/// The session takes them as they come and the streams thousands of them in a frame, so that a queue of this
/// length means that this process has no time for it. Unlocks and demotions always pass: they are at most one
/// for each lock held, and they are what frees others.
pub const OPERATIONS_QUEUED_MAX: usize = 1 << 15;

/// The most operations of a session that are not answered yet, those that wait for locks included.
///
/// Half as many as the session has room for: unlocks and demotions always pass, and while as many wait as may
/// there is still room for those. It is less than half of what a reader of events has room for, too: if all
/// of them were granted in one moment, and each of those locks wanted by another at once, nothing would be
/// lost.
pub const OPERATIONS_IN_FLIGHT_MAX: usize = 1 << 16;

const _: () = assert!(2 * OPERATIONS_IN_FLIGHT_MAX <= OPERATIONS_MAX);

/// The most events that wait for the reader of an [`crate::asts::AstEvents`]; one more ends the session.
pub const ASTS_QUEUED_MAX: usize = 1 << 18;

const _: () = assert!(
    2 * OPERATIONS_IN_FLIGHT_MAX <= ASTS_QUEUED_MAX,
    "an answer and a callback for each operation in flight must fit"
);

/// The most glocks that one [`crate::glocks::Glocks`] caches by default: as many as a server gives one
/// session locks by default.
pub const GLOCKS_MAX_DEFAULT: usize = 1 << 20;

/// The most tasks that have names in reports. A task beyond has its number.
pub const TASK_NAMES_MAX: usize = 1 << 14;

/// The most pages of glocks that a server may wait for at once; what it asks for beyond takes the place of
/// the last. A server keeps to the same number.
pub const GLOCKS_QUERIES_MAX: usize = 16;

/// The most connections that are kept: one to each server that a session knows, and some to servers that
/// were named as the leader.
pub const CHANNELS_MAX: usize = 2 * ENDPOINTS_MAX;

/// The most things that happened and that the driver has not got to: frames and ends of streams; and apart from
/// those, answers to calls. What is beyond waits in its stream or call, and so in the server.
pub const HAPPENED_MAX: usize = 64;

/// The most commands that the driver takes at once, before it looks at what else happened.
pub const COMMANDS_AT_ONCE_MAX: usize = 1024;

/// The most steps of the session's machine before the rest of the process gets its turn, and answers to calls
/// theirs: a fraction of a millisecond, so that a keepalive is sent and heard in time whatever else there is to do.
pub const STEPS_AT_ONCE_MAX: usize = 256;

/// How long connecting may take, whichever server lets the client in.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long one server may take to accept a connection. A call is given up sooner; what is so late is of no
/// use to the next.
pub const CONNECT_ATTEMPT_MAX: Duration = Duration::from_secs(1);

/// How long [`crate::Client::close`] waits until the cluster knows that the session has ended.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);

/// How long a session that is closed waits for the answers to its unlocks. A lock that ends with the session
/// leaves a value that is not valid; one that was unlocked does not.
pub const UNLOCKS_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(UNLOCKS_MAX.as_millis() < CLOSE_MAX.as_millis());

/// How long the connection may be silent before the server is asked for a sign of life.
pub const SILENCE_MAX: Duration = Duration::from_millis(500);

/// How long a sign of life may take before the connection is given up. Long enough for a server that is short
/// of processor time; with the silence before it less than a lease, so that there is time for another.
pub const SIGN_OF_LIFE_MAX: Duration = Duration::from_secs(2);

/// The most operations whose traces are remembered; they are sampled, so that there are few.
pub const TRACES_MAX: usize = 1024;
