//! The limits of the client library, each with its reason.

use std::time::Duration;

/// The most operations that may queue for the stream before new locks are refused.
///
/// The stream takes thousands of operations in a frame, so that a queue of this length means that the
/// server reads nothing any more. Unlocks and demotions always pass: they are at most one for each lock
/// held, and they are what frees others.
pub const OPERATIONS_QUEUED_MAX: usize = 1 << 16;

/// The most operations of a session that are not answered yet, those that wait for locks included.
///
/// Half as many as the outputs that a server keeps for one client before it ends the session: if all of
/// them were granted in one moment, and each of those locks wanted by another at once, it would still
/// have room. Unlocks and demotions always pass here too.
pub const OPERATIONS_IN_FLIGHT_MAX: usize = 1 << 17;

/// The most events that wait for the reader of an [`crate::asts::AstEvents`]; one more ends the session.
/// As many as a server keeps for a client: whoever reads gets here no sooner than there.
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

/// How long connecting may take, the server's welcome included.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long [`crate::Client::close`] waits for the server to end the stream.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);

/// How long the connection may be silent before the server is asked for a sign of life.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long a sign of life may take before the session counts as lost. Long enough for a server that
/// is short of processor time, short enough that a cut network is noticed.
pub const SIGN_OF_LIFE_MAX: Duration = Duration::from_secs(10);
