//! What happened, in the order in which it happened and with the world's own time.

use std::collections::BTreeMap;
use std::fmt;

use dlm_core::{Epoch, LockId, LockspaceId, LogIndex, Mode, RequestFlags, ResourceName, ServerId};
use dlm_core::{SessionId, Status, Tick, Token};

use crate::sim::ProcessId;

/// A session as its client has it: numbered by whoever records it, once in a run, since it wants things
/// before it has a number from the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Something that a client wants an answer to, by its number in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// In which lockspace.
    pub lockspace: LockspaceId,
    /// Under which name.
    pub name: ResourceName,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of lockspace {}", self.name, self.lockspace.0)
    }
}

/// A lock of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lock {
    /// Whose.
    pub client: ClientId,
    /// Which.
    pub lock: LockId,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A new lock.
    Request {
        /// On what.
        resource: Resource,
        /// In which mode.
        mode: Mode,
    },
    /// Another mode.
    Convert {
        /// Which.
        mode: Mode,
    },
    /// Nothing any more.
    Unlock,
    /// That an operation be given up.
    Cancel,
}

/// A value as it was read or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// These bytes.
    Valid(Vec<u8>),
    /// Whatever it is, it is not what was stored last.
    NotValid,
}

/// How an operation on a lock ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// As the lock manager says.
    pub status: Status,
    /// What the lock holds now.
    pub mode: Option<Mode>,
    /// The token of that.
    pub token: Token,
    /// The value, where it was read.
    pub value: Option<Stored>,
}

/// Something that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A client wants something of a lock.
    Asked {
        /// Which lock.
        lock: Lock,
        /// The answer comes under this.
        ticket: Ticket,
        /// What.
        want: Want,
        /// How.
        flags: RequestFlags,
        /// The value that it stores with that.
        value: Option<Vec<u8>>,
    },
    /// A client was told its place in a queue.
    Queued {
        /// Which lock.
        lock: Lock,
        /// Of which operation.
        ticket: Ticket,
        /// The master's count when it queued.
        serial: u64,
    },
    /// An operation on a lock ended, and its client was told.
    Ended {
        /// Which lock.
        lock: Lock,
        /// Which operation.
        ticket: Ticket,
        /// How.
        end: End,
    },
    /// A client was told that it is in somebody's way.
    Blocked {
        /// With which lock.
        lock: Lock,
        /// Of the mode that somebody wants.
        mode: Mode,
    },
    /// A client was told that a lock holds less than it did.
    Weakened {
        /// Which.
        lock: Lock,
        /// What it holds.
        mode: Mode,
    },
    /// A client wants something of the cluster.
    Called {
        /// Who.
        client: ClientId,
        /// The answer comes under this.
        ticket: Ticket,
        /// What, in words.
        what: String,
    },
    /// A call of the cluster was answered.
    Answered {
        /// Whose.
        client: ClientId,
        /// Which.
        ticket: Ticket,
        /// How, in words.
        how: String,
    },
    /// A task holds a glock.
    Holds {
        /// On which node.
        client: ClientId,
        /// Which task: what it waited under.
        holder: Ticket,
        /// The glock.
        resource: Resource,
        /// The mode that its state stands for.
        mode: Mode,
        /// What it may write under.
        token: Token,
    },
    /// It does not any more.
    LetGo {
        /// On which node.
        client: ClientId,
        /// Which task.
        holder: Ticket,
    },
    /// A session has a number in the cluster.
    Joined {
        /// Which session.
        client: ClientId,
        /// Its number.
        session: SessionId,
    },
    /// A server knows a session no more: its locks are gone there.
    Purged {
        /// Which.
        session: SessionId,
    },
    /// A session ended by its client's own clock or word: from now on it relies on nothing.
    Lost {
        /// Which.
        client: ClientId,
    },
    /// A session's process died.
    Died {
        /// Which.
        client: ClientId,
    },
    /// A session gave everything back and ended.
    Left {
        /// Which.
        client: ClientId,
    },
    /// A slot was made anew from what clients hold: what was not known to them of a value is not valid.
    Recovered {
        /// Which, as it is numbered.
        slot: u32,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// A client says what it has in a slot that is made anew: from then on that is how it was.
    Claimed {
        /// Who.
        client: ClientId,
        /// In which slot, as it is numbered.
        slot: u32,
    },
    /// That slot is served again.
    Served {
        /// Which, as it is numbered.
        slot: u32,
    },
    /// A server believes that it leads.
    Leads {
        /// Which server.
        server: ServerId,
        /// In which term.
        term: u64,
    },
    /// A server does not believe that any more, or is dead.
    Deposed {
        /// Which server.
        server: ServerId,
    },
    /// A server wants a session evicted for what it claimed: two cannot both be right.
    Contradicted {
        /// By which server.
        server: ServerId,
        /// Why, in words.
        why: String,
    },
    /// A session and a server count differently, which ended the session.
    Miscounted {
        /// Whose.
        client: ClientId,
    },
    /// A server applied an entry.
    Applied {
        /// Which server.
        server: ServerId,
        /// Which entry.
        index: LogIndex,
        /// A digest of the state after it.
        digest: u64,
    },
    /// All faults are over.
    Healed,
    /// At the end: a master has this lock.
    InTable {
        /// Which.
        lock: Lock,
        /// On what.
        resource: Resource,
        /// As held.
        mode: Option<Mode>,
    },
    /// At the end: the masters' tables were all read.
    TablesRead,
}

impl Fact {
    /// Whose lock it is about.
    #[must_use]
    pub const fn lock(&self) -> Option<Lock> {
        match self {
            Self::Asked { lock, .. }
            | Self::Queued { lock, .. }
            | Self::Ended { lock, .. }
            | Self::Blocked { lock, .. }
            | Self::Weakened { lock, .. }
            | Self::InTable { lock, .. } => Some(*lock),
            _ => None,
        }
    }

    /// Whose session it is the end of.
    #[must_use]
    pub const fn gone(&self) -> Option<ClientId> {
        match self {
            Self::Lost { client } | Self::Died { client } | Self::Left { client } => Some(*client),
            _ => None,
        }
    }
}

/// A fact, when it was so, and at which process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, in the world's time.
    pub at: Tick,
    /// At which process.
    pub by: ProcessId,
    /// What.
    pub fact: Fact,
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    entries: Vec<Entry>,
    /// What a lock is on, since its request said so.
    resources: BTreeMap<Lock, Resource>,
}

impl History {
    /// Takes down what is true now.
    ///
    /// # Panics
    /// If time goes back.
    pub fn push(&mut self, at: Tick, by: ProcessId, fact: Fact) {
        let last = self.entries.last().map_or(Tick(0), |entry| entry.at);
        assert!(last <= at, "a history is in the order of its times");
        if let Fact::Asked {
            lock,
            want: Want::Request { resource, .. },
            ..
        } = &fact
        {
            self.resources.insert(*lock, resource.clone());
        }
        self.entries.push(Entry { at, by, fact });
    }

    /// All of it, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What a lock is on. Numbers of locks are used once in a session.
    #[must_use]
    pub fn resource(&self, lock: Lock) -> Option<&Resource> {
        self.resources.get(&lock)
    }

    /// The last `count` facts up to a moment about a resource; about anything, where there is none.
    #[must_use]
    pub fn last_about(
        &self,
        until: Tick,
        resource: Option<&Resource>,
        count: usize,
    ) -> Vec<&Entry> {
        let about = |entry: &&Entry| {
            let lock = entry.fact.lock();
            let of = lock.and_then(|lock| self.resource(lock));
            let about =
                resource.is_none_or(|wanted| of == Some(wanted) || entry.fact.gone().is_some());
            about && entry.at <= until
        };
        let mut last: Vec<&Entry> = self
            .entries
            .iter()
            .rev()
            .filter(about)
            .take(count)
            .collect();
        last.reverse();
        last
    }
}
