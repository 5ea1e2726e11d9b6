//! What can be wrong with a message.

use dlm_core::cluster::TextRefusal;
use dlm_core::ids::BASES;
use dlm_core::invariants::Violation;
use dlm_core::recovery::IMAGE_ENTRIES_MAX;
use dlm_core::slot::SLOTS;
use thiserror::Error;

use crate::fault::FAULT_DELAY_US_MAX;
use crate::limits::{
    CACHES_PER_REPORT_MAX, GLOCKS_PER_PAGE_MAX, NAME_BYTES_MAX, OPERATIONS_PER_FRAME_MAX,
    PEER_MESSAGES_MAX, REPORT_ENTRIES_MAX,
};
use crate::node::STORE_DELAY_US_MAX;
use crate::version::VersionRange;

/// A message that was decoded but means nothing. Each line says what is wrong and what its sender
/// can do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The first frame of a client is a Hello and nothing else.
    #[error(
        "the first frame has no hello; send one, alone, with your protocol versions and a name"
    )]
    HelloMissing,
    /// The first frame carried more than the Hello.
    #[error(
        "the first frame carries more than the hello; send the hello alone and the rest after it"
    )]
    HelloNotAlone,
    /// An operation's trace is none.
    #[error("the trace of an operation is not 16 bytes and a span that are not 0; leave it out")]
    Trace,
    /// A Hello after the first frame.
    #[error("a second hello on one stream; open another stream for another session")]
    HelloAgain,
    /// The first frame of a server is a Welcome.
    #[error("the first frame has no welcome; is this a Glockwork lock server?")]
    WelcomeMissing,
    /// A Welcome after the first frame.
    #[error("a second welcome on one stream; the server is broken, connect again")]
    WelcomeAgain,
    /// There is no version of the protocol that both sides speak.
    #[error(
        "no common protocol version: the server speaks {ours}, the client {theirs}; \
         upgrade the older of the two"
    )]
    Version {
        /// What the side that noticed it, a server, speaks.
        ours: VersionRange,
        /// What the other side speaks.
        theirs: VersionRange,
    },
    /// A name that people give is too long, or empty.
    #[error("a name has {bytes} bytes; give one of 1 to {NAME_BYTES_MAX}")]
    NameLength {
        /// How many it has.
        bytes: usize,
    },
    /// A name that people give has a control character in it.
    #[error("the name \"{name}\" has a control character in it; leave it out")]
    NameCharacter {
        /// The name, escaped.
        name: String,
    },
    /// A resource's name is too long, where nobody can be told under a number.
    #[error("a resource's name has {bytes} bytes; it has at most 64")]
    ResourceNameLength {
        /// How many it has.
        bytes: usize,
    },
    /// Too many operations, or events, in one frame; a claim counts as two.
    #[error(
        "a frame of {count} operations; send at most {OPERATIONS_PER_FRAME_MAX} in one and the \
         rest in the next"
    )]
    OperationsTooMany {
        /// How many it has.
        count: usize,
    },
    /// A report of too many tasks, glocks and holders.
    #[error("a report of {count} entries; send at most {REPORT_ENTRIES_MAX}")]
    ReportTooLong {
        /// How many it has.
        count: usize,
    },
    /// A report of the counts of too many lockspaces.
    #[error("counts of {count} lockspaces; send at most {CACHES_PER_REPORT_MAX}")]
    CachesTooMany {
        /// How many.
        count: usize,
    },
    /// A page of too many glocks and holders.
    #[error("a page of {count} glocks and holders; send at most {GLOCKS_PER_PAGE_MAX}")]
    GlocksTooMany {
        /// How many it has.
        count: usize,
    },
    /// An operation of a kind that is not set or not known.
    #[error("operation {op} is of no known kind; set one that version 1 of the protocol has")]
    OperationKind {
        /// Its number.
        op: u64,
    },
    /// A message of a stream of a kind that is not set or not known.
    #[error("message {number} is of no known kind; set one that version 1 of the protocol has")]
    ItemKind {
        /// Its number.
        number: u64,
    },
    /// A slot map with more slots, or servers, than there are slots.
    #[error("a slot map of {count} entries; there are {SLOTS} slots")]
    MapTooLong {
        /// How many it has.
        count: usize,
    },
    /// A slot map that names a server that is not there.
    #[error("a slot map names server {index} of {servers}; it contradicts itself")]
    MapServer {
        /// The index.
        index: u32,
        /// How many servers there are.
        servers: usize,
    },
    /// An operation with a number that is not larger than that of the one before.
    #[error("operation {op} came after operation {before}; number them in the order they are sent")]
    OperationOrder {
        /// Its number.
        op: u64,
        /// The number of the one before.
        before: u64,
    },
    /// An event of a kind that is not set or not known.
    #[error("an event of no known kind; the server is newer than the version it agreed to")]
    EventKind,
    /// A value block is too long, where nobody can be told under a number.
    #[error("a value block has {bytes} bytes; it has at most 256")]
    ValueLength {
        /// How many it has.
        bytes: usize,
    },
    /// Options that no lockspace can have.
    #[error("value blocks of {bytes} bytes; their length is a multiple of 8 from 8 to 256")]
    LockspaceOptions {
        /// How many.
        bytes: u32,
    },
    /// A number that stands for no value of its enumeration.
    #[error("{value} is not a {what}; set one that version 1 of the protocol has")]
    Enumeration {
        /// Of which enumeration: "mode", "status"…
        what: &'static str,
        /// The number.
        value: i32,
    },
    /// A glock under a name that no glock has.
    #[error("\"{name}\" is no glock's name; the session that reports it is broken")]
    GlockName {
        /// The name, escaped.
        name: String,
    },
    /// A glock in a mode that no state of glocks stands for.
    #[error("no glock is ever in {mode}; the session that reports it is broken")]
    GlockState {
        /// The mode.
        mode: &'static str,
    },
    /// A cycle that names an edge that is not there.
    #[error("a cycle names edge {index} of {edges}; the server's reply contradicts itself")]
    CycleIndex {
        /// The index.
        index: u32,
        /// How many edges there are.
        edges: usize,
    },
    /// A fault at a server that cannot be.
    #[error("0 is not a server's number; servers are counted from 1")]
    FaultServer,
    /// A fault on a link that is none.
    #[error(
        "there is no link between {from} and {to}; name two members that differ, one of them a server"
    )]
    FaultLink {
        /// One end.
        from: String,
        /// The other.
        to: String,
    },
    /// A fault that lets bytes arrive too late.
    #[error("a delay of {us} us; give at most {FAULT_DELAY_US_MAX}, a minute")]
    FaultDelay {
        /// How much later.
        us: u64,
    },
    /// A fault that makes a node's storage too slow.
    #[error("a delay of {us} us; give at most {STORE_DELAY_US_MAX}, a minute")]
    StoreDelay {
        /// How much longer a read or write takes.
        us: u64,
    },
    /// A workload that no node runs.
    #[error("a workload with {value} for its {what}; give {min} to {max}")]
    WorkloadShape {
        /// What is wrong with it.
        what: &'static str,
        /// What it has.
        value: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A histogram's bucket that cannot be, or is there twice.
    #[error("a histogram with a bucket {bucket} out of turn; the sender is broken")]
    Latencies {
        /// Its number.
        bucket: u32,
    },
    /// A ledger of a workload that makes no sense.
    #[error("the ledger of task {task} on node {node} makes no sense; the sender is broken")]
    Ledger {
        /// The node's index.
        node: u32,
        /// The task's.
        task: u32,
    },
    /// Bytes that are no message of this kind: of a log or a snapshot, which are ours, so that something
    /// has changed them.
    #[error("bytes that are no {what}; the disk or the sender is broken")]
    Bytes {
        /// Of which kind.
        what: &'static str,
    },
    /// A nonce that has not 16 bytes.
    #[error("a nonce has {bytes} bytes; choose 16 at random")]
    NonceLength {
        /// How many it has.
        bytes: usize,
    },
    /// A random number of another length than it is made with.
    #[error("{what} has {bytes} bytes; it has 16")]
    IdentityLength {
        /// What it is.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
    },
    /// Versions of the protocol that are none.
    #[error("versions from {min} to {max} are none; name the oldest and the newest that you speak")]
    VersionRange {
        /// The oldest.
        min: u32,
        /// The newest.
        max: u32,
    },
    /// A frame of too many messages between servers.
    #[error("a frame of {count} messages; send at most {PEER_MESSAGES_MAX} in one")]
    PeerMessagesTooMany {
        /// How many it has.
        count: usize,
    },
    /// A piece of a table that is too long.
    #[error("a piece of {count} entries of a table; send at most {IMAGE_ENTRIES_MAX} in one")]
    ImageTooLong {
        /// How many it has.
        count: usize,
    },
    /// A byte of flags that has more than eight.
    #[error("{what} of {bits:#x}; there are eight of them")]
    Bits {
        /// Which.
        what: &'static str,
        /// As it came.
        bits: u32,
    },
    /// A name, an address or a reason that nobody can have.
    #[error("{what}: {why}")]
    Text {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        why: TextRefusal,
    },
    /// There is no slot of this number.
    #[error("slot {number} of 256; they are counted from 0")]
    Slot {
        /// The number.
        number: u32,
    },
    /// There is no lockspace base of this number.
    #[error("lockspace base {number} of {BASES}; they are counted from 0")]
    LockspaceBase {
        /// The number.
        number: u32,
    },
    /// A part of a message without which it means nothing.
    #[error("a message without {what}; set it")]
    Missing {
        /// Which.
        what: &'static str,
    },
    /// A snapshot of a state that cannot be.
    #[error("a snapshot of a state that cannot be: {violation}")]
    State {
        /// Why not.
        violation: Violation,
    },
}
