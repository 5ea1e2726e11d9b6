//! Limits of the pure half, each with its reason.

/// Bytes in a page of the cache.
pub const PAGE_BYTES: usize = 4096;

/// Consecutive lock cycles without progress after which `try-cycle` gives up and bounces. The original
/// has no bound: whether its trylock ever succeeds is a matter of luck. With the odds of two nodes in
/// lock-step (one half a round) a run of 32 has odds below 1 in 10^9.
pub const TRY_CYCLE_ROUNDS_MAX: u32 = 32;

/// Consecutive fault-ins without progress after which a read under `nofault` gives up and bounces.
/// gfs2 has no bound here, and a read into a mapping of the very range that it reads never returns.
pub const NOFAULT_READ_ROUNDS_MAX: u32 = 16;

/// The first window that `nofault` faults in, in bytes: gfs2 takes what the dirty throttle still
/// allows, at least eight pages, at most 1 MiB. There is no dirty throttle here, so it is the least.
pub const NOFAULT_WINDOW_BYTES: usize = 8 * PAGE_BYTES;

const _: () = assert!(NOFAULT_WINDOW_BYTES <= 1 << 20);
