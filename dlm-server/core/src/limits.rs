//! How much a lock table takes before it refuses.

/// The limits of one [`LockTable`](crate::LockTable). Reaching one is a named refusal, never growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most locks of one session, whether held or waited for
    /// ([`Refusal::LocksPerSession`](crate::Refusal::LocksPerSession)).
    pub locks_per_session_max: usize,
    /// The most locks that convert or wait on one resource
    /// ([`Refusal::QueueLength`](crate::Refusal::QueueLength)). What can be granted at once, and what
    /// does not wait (`NOQUEUE`), is not counted.
    pub queue_length_max: usize,
    /// The most resources with a lock on them ([`Refusal::Resources`](crate::Refusal::Resources)).
    pub resources_max: usize,
}

/// A filesystem node caches a lock for each inode and resource group in use; some hundred thousand
/// are common, and a million with their resources are a few hundred megabytes of the server's memory.
pub const LOCKS_PER_SESSION_MAX_DEFAULT: usize = 1 << 20;

/// A node queues once on a resource however many of its tasks wait, so that a queue longer than the
/// cluster has nodes comes from programs; beyond some ten thousand no waiter would live to see its grant.
pub const QUEUE_LENGTH_MAX_DEFAULT: usize = 1 << 14;

/// Room for four full sessions without a resource in common, in about a gigabyte.
pub const RESOURCES_MAX_DEFAULT: usize = 1 << 22;

// A session alone may fill one queue: otherwise the queue's limit could never be tested by one client.
const _: () = assert!(QUEUE_LENGTH_MAX_DEFAULT < LOCKS_PER_SESSION_MAX_DEFAULT);
// A session may take all its locks on resources of its own: otherwise its limit would be a promise that
// the table cannot keep.
const _: () = assert!(LOCKS_PER_SESSION_MAX_DEFAULT <= RESOURCES_MAX_DEFAULT);
// Places are numbered with 32 bits, and a queue counts its modes with 32 bits.
const _: () = assert!(RESOURCES_MAX_DEFAULT < u32::MAX as usize);
const _: () = assert!(QUEUE_LENGTH_MAX_DEFAULT < u32::MAX as usize);

/// A token is an epoch of so few bits above these, which count the grants of that epoch: enough for a
/// million a second over twelve days.
pub const TOKEN_COUNT_BITS: u32 = 40;

/// With fewer tokens than this left the slot wants a new epoch. At a million grants a second that is a
/// day ahead.
pub const TOKENS_LEFT_MIN: u64 = 1 << 36;

/// With fewer tokens than this left nothing is served any more. One step grants at most a queue of each
/// lock of a session.
pub const TOKENS_RESERVED: u64 = 1 << 35;

const _: () = assert!(
    (QUEUE_LENGTH_MAX_DEFAULT as u64) * (LOCKS_PER_SESSION_MAX_DEFAULT as u64) < TOKENS_RESERVED
);
const _: () = assert!(TOKENS_RESERVED < TOKENS_LEFT_MIN && TOKENS_LEFT_MIN < 1 << TOKEN_COUNT_BITS);

impl Limits {
    /// The limits that a server starts with.
    pub const DEFAULT: Self = Self {
        locks_per_session_max: LOCKS_PER_SESSION_MAX_DEFAULT,
        queue_length_max: QUEUE_LENGTH_MAX_DEFAULT,
        resources_max: RESOURCES_MAX_DEFAULT,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
