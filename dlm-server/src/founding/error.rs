//! Why a server does not found a cluster, and what it waits for.

use std::collections::BTreeSet;
use std::fmt;

use dlm_core::ServerId;
use thiserror::Error;

use crate::members::VOTERS_MAX;
use crate::storage::ClusterId;

/// Why a server cannot become one of a cluster as it was started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoundingError {
    /// The number 0 means nobody.
    #[error("0 is not a server's number; count servers from 1, in --id and --peer")]
    Zero,
    /// More servers have a vote than may.
    #[error(
        "{servers} servers cannot found a cluster; found it with {VOTERS_MAX} at most, an odd number, \
         and add others with `dlm server add`"
    )]
    TooMany {
        /// How many there are.
        servers: usize,
    },
    /// A server is to join, and knows nobody.
    #[error("--join needs the address of a server of the cluster; give one or more with --peer")]
    NobodyToJoin,
    /// Another server answers at an address.
    #[error(
        "at the address of server {} answers server {}; look at the --peer addresses, and at the --id \
         of that server", asked.0, says.0
    )]
    WrongServer {
        /// Who was asked.
        asked: ServerId,
        /// Who answered.
        says: ServerId,
    },
    /// Another server has this one's number.
    #[error("another server was started as server {} too; give each its own --id", server.0)]
    SameNumber {
        /// Which number.
        server: ServerId,
    },
    /// The servers were not given the same list.
    #[error(
        "server {} was started with --peer for the servers {}, this one for {}; start all of them with \
         the same list", server.0, List(theirs), List(ours)
    )]
    ListsDiffer {
        /// Who has another list.
        server: ServerId,
        /// This server's list.
        ours: BTreeSet<ServerId>,
        /// Its list.
        theirs: BTreeSet<ServerId>,
    },
    /// A peer comes with a storage that it had replaced.
    #[error(
        "server {} was heard of with one storage, then with another, and now with the first again; see \
         that it runs once, and start this server again", server.0
    )]
    StorageBack {
        /// Which.
        server: ServerId,
    },
    /// Two peers belong to different clusters.
    #[error(
        "server {} belongs to cluster {:032x} and server {} to cluster {:032x}; look at the --peer \
         addresses, and stop the servers of one cluster", first.0.0, first.1.0, second.0.0, second.1.0
    )]
    TwoClusters {
        /// One of them, and its cluster.
        first: (ServerId, ClusterId),
        /// The other, and its cluster.
        second: (ServerId, ClusterId),
    },
    /// This server was a member, and its disk is empty.
    #[error(
        "the cluster of server {} knows server {n} with another storage: this disk was wiped or \
         replaced, and it cannot come back under its old number; run `dlm server remove {n}`, then \
         `dlm server add M ADDR` with a new number M, and start this server as --id M with --join",
        by.0, n = server.0
    )]
    Wiped {
        /// This server.
        server: ServerId,
        /// Who says so.
        by: ServerId,
    },
    /// The cluster is there already, without this server.
    #[error(
        "the cluster of server {} was founded without server {n}, perhaps because the --peer lists \
         differ; run `dlm server add {n} ADDR`, and start this server with --join",
        by.0, n = server.0
    )]
    NotAdded {
        /// This server.
        server: ServerId,
        /// Who says so.
        by: ServerId,
    },
}

/// What a server waits for; its text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// That these introduce themselves.
    Introduced(BTreeSet<ServerId>),
    /// That these say that they have heard what this server has.
    Agreed(BTreeSet<ServerId>),
    /// That these introduce themselves; the others have founded already, and count on this server.
    Rest {
        /// Their cluster.
        cluster: ClusterId,
        /// Who was not heard of.
        missing: BTreeSet<ServerId>,
    },
    /// To join, that a cluster is there.
    Founded,
    /// To join, that it is added.
    Added {
        /// This server.
        server: ServerId,
    },
    /// That somebody who knows the cluster's members says whether it is one.
    Told {
        /// Which cluster.
        cluster: ClusterId,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Introduced(servers) => {
                write!(f, "waiting to hear from server {}", List(servers))
            }
            Self::Agreed(servers) => write!(
                f,
                "waiting for server {} to have heard from all others",
                List(servers)
            ),
            Self::Rest { cluster, missing } => write!(
                f,
                "waiting to hear from server {}; this server is a member of cluster {:032x}, and \
                 starts without them with --join",
                List(missing),
                cluster.0
            ),
            Self::Founded => f.write_str("waiting to hear from a server that belongs to a cluster"),
            Self::Added { server } => write!(
                f,
                "waiting to be added to the cluster: run `dlm server add {} ADDR` with this \
                 server's address",
                server.0
            ),
            Self::Told { cluster } => write!(
                f,
                "waiting to hear from a server that knows the members of cluster {:032x}",
                cluster.0
            ),
        }
    }
}

/// Numbers, for people.
struct List<'a>(&'a BTreeSet<ServerId>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, server) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{}", server.0)?;
        }
        Ok(())
    }
}
