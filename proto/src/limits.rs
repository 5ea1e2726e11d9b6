//! How much may travel at once, and where the server is found.

use dlm_core::value::VALUE_BYTES_MAX;

/// The port of the lock server. Not 21064, which is the kernel's DLM's own and may be in use on the
/// very machines where this is tried.
pub const DEFAULT_PORT: u16 = 7170;

/// Where a server listens and a client looks without being told: loopback only, because there is no
/// authentication on it.
pub const DEFAULT_ENDPOINT: &str = "127.0.0.1:7170";

/// The most bytes in one encoded frame: what every gRPC implementation accepts without being
/// configured, so that a client in another language needs no setting.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// The most operations, and the most events, in one frame. A frame of 256 already costs almost
/// nothing per operation; the limit is far above it and keeps the time that one frame takes the
/// lock table in the order of a millisecond.
pub const OPERATIONS_PER_FRAME_MAX: usize = 2048;

/// The most claims in one frame: each counts as two operations, for it may carry two values.
pub const CLAIMS_PER_FRAME_MAX: usize = OPERATIONS_PER_FRAME_MAX / 2;

/// The most tasks, glocks and holders, counted together, in one report of a node.
pub const REPORT_ENTRIES_MAX: usize = 32_768;

/// The most glocks and holders, counted together, in one page of a dump of glocks: the next page is asked for
/// when it is wanted, so that a million glocks are dumped without anybody holding all of them.
pub const GLOCKS_PER_PAGE_MAX: usize = 4096;

/// The most lockspaces in which a session says what it has counted: more than it may open.
pub const CACHES_PER_REPORT_MAX: usize = 256;

/// The most bytes of what an object says of itself in a dump: gfs2's longest line has about 120.
pub const OBJECT_BYTES_MAX: usize = 256;

/// The most bytes in a lock graph's reply: some hundred thousand locks. A picture of more helps nobody.
pub const GRAPH_REPLY_BYTES_MAX: usize = 64 << 20;

/// The most bytes in the name of a client, a task or a lockspace (fs/dlm's `DLM_LOCKSPACE_LEN`).
pub const NAME_BYTES_MAX: usize = 64;

/// The most locks in one page of a listing: some hundred kilobytes, so that a million locks are listed
/// without either side holding the text of all of them.
pub const LOCKS_PER_PAGE_MAX: usize = 2048;

/// The most bytes in an encoded frame between servers. The longest message is one of the log's replicas with
/// a snapshot of the whole state in it: 64 MiB; the rest is for what is around it.
pub const PEER_MESSAGE_BYTES_MAX: usize = (64 << 20) + (1 << 10);

/// From how many bytes on nothing more is put into a frame between servers: a long frame is a long wait for
/// what comes after it, a lease's renewal among them. One message alone may be longer.
pub const PEER_FRAME_BYTES_FULL: usize = 1 << 20;

/// The most messages in one frame between servers.
pub const PEER_MESSAGES_MAX: usize = 2048;

/// More than an encoded operation or event can take: a value block, seven numbers of up to ten bytes, and
/// their tags. What carries a resource's name carries no value. A slot of a map with a server of its own
/// takes less, and a claim with two values less than twice this.
const OPERATION_BYTES_MAX: usize = VALUE_BYTES_MAX + 112;

/// More than a task, a glock without its holders, or a holder can take in a report.
const REPORT_ENTRY_BYTES_MAX: usize = 100;

/// More than a glock without its holders, or a holder, can take in a page of a dump.
const GLOCK_BYTES_MAX: usize = OBJECT_BYTES_MAX + 160;

/// More than the counts of a lockspace can take.
const CACHE_BYTES_MAX: usize = 70;

const _: () =
    assert!(CACHES_PER_REPORT_MAX >= dlm_core::cluster::limits::LOCKSPACES_OF_SESSION_MAX);

const _: () = assert!(
    OPERATIONS_PER_FRAME_MAX * OPERATION_BYTES_MAX
        + GLOCKS_PER_PAGE_MAX * GLOCK_BYTES_MAX
        + CACHES_PER_REPORT_MAX * CACHE_BYTES_MAX
        <= FRAME_BYTES_MAX,
    "a page of a dump stands in a frame, and by itself in an answer"
);

const _: () = assert!(
    OPERATIONS_PER_FRAME_MAX * OPERATION_BYTES_MAX + REPORT_ENTRIES_MAX * REPORT_ENTRY_BYTES_MAX
        <= FRAME_BYTES_MAX,
    "the fullest frame of each kind, and both in one, must fit"
);

// A resource without its locks stands in a page too, with its name, its lockspace's and its value.
const _: () = assert!(
    LOCKS_PER_PAGE_MAX * (200 + 2 * NAME_BYTES_MAX + 64 + VALUE_BYTES_MAX) <= FRAME_BYTES_MAX
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_names_the_port() {
        assert_eq!(DEFAULT_ENDPOINT, format!("127.0.0.1:{DEFAULT_PORT}"));
    }
}
