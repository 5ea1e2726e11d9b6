//! How servers with empty disks become one cluster.
//!
//! Each new server draws its storage's identity ([`Draft`](crate::storage::Draft)), has it on the disk,
//! and then introduces itself to every server of the list that it was started with, and is introduced to
//! in turn, again and again; each says whom it has heard of. [`Founder`] is told what was said and
//! decides. Nobody leads: when a server knows the identities of all, and has heard from all that they
//! know the same, it makes its storage with them as the first members. The cluster's number is a digest
//! of them ([`cluster_of`]), so that all who know the same found the same, at whatever time.
//!
//! # Why there are not two clusters
//!
//! Two clusters of one list of servers differ in a server that had its disk wiped in between. A server
//! that says that it knows the new storage has not founded with the old one when it says so, and does
//! not afterwards: it takes no storage back that was replaced, and after a restart it hears the old one
//! no more. And nobody founds with the new storage before all others have said so. So of the cluster with
//! the old storage there is nothing, or what was wiped. For this to be true, a caller hears an
//! introduction ([`Founder::hear`]) before it answers it, and answers as its cluster's from the moment
//! that it has a storage ([`Introduction::of_member`]).
//!
//! Servers that were given different lists see that in each other's introductions, and do not found.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::ServerId;
use glockwork_proto::founding as wire;

use crate::members::{Member, Members, ServerIdentity, VOTERS_MAX};
use crate::storage::{ClusterId, Founding, Identity, cluster_of};

mod error;
#[cfg(test)]
mod tests;

pub use error::{FoundingError, Waiting};
pub use glockwork_proto::founding::Standing;

/// What a server with an empty disk was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which server it is.
    pub server: ServerId,
    /// The servers that found the cluster, the same for each of them; it makes no difference whether
    /// this one is in it. With `join`, those that may know the cluster.
    pub peers: BTreeSet<ServerId>,
    /// Whether the cluster is there, or will be without this server's doing, and this one is added to
    /// it.
    pub join: bool,
}

/// What a server says of itself to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Introduction {
    /// Which server it is.
    pub server: ServerId,
    /// Its storage's identity.
    pub identity: ServerIdentity,
    /// The cluster that its storage belongs to; none where it has none yet.
    pub cluster: Option<ClusterId>,
    /// What the one it speaks to is to its cluster; none where it does not know.
    pub you: Option<Standing>,
    /// The servers that it wants to found a cluster with, itself included, and the identities that it
    /// knows of them; none where it does not want to.
    pub founders: Option<Founders>,
}

/// The servers that are to found a cluster, and the identities of those that were heard of.
pub type Founders = BTreeMap<ServerId, Option<ServerIdentity>>;

/// How often a peer may come with another storage, before something is wrong.
const STORAGES_MAX: usize = 16;

impl From<wire::Introduction> for Introduction {
    fn from(wire: wire::Introduction) -> Self {
        let wire::Introduction {
            server,
            identity,
            cluster,
            you,
            founders,
        } = wire;
        Self {
            server,
            identity: ServerIdentity(identity),
            cluster: cluster.map(ClusterId),
            you,
            founders: founders.map(|all| {
                let identities = all.into_iter();
                identities
                    .map(|(server, known)| (server, known.map(ServerIdentity)))
                    .collect()
            }),
        }
    }
}

impl From<Introduction> for wire::Introduction {
    fn from(ours: Introduction) -> Self {
        Self {
            server: ours.server,
            identity: ours.identity.0,
            cluster: ours.cluster.map(|cluster| cluster.0),
            you: ours.you,
            founders: ours.founders.map(|all| {
                let identities = all.into_iter();
                identities
                    .map(|(server, known)| (server, known.map(|known| known.0)))
                    .collect()
            }),
        }
    }
}

impl Introduction {
    /// What a server of a cluster says to the server `to`. `members` are those that it knows of.
    #[must_use]
    pub fn of_member(
        identity: Identity,
        members: &Members,
        (to, to_identity): (ServerId, ServerIdentity),
    ) -> Self {
        let you = match members.member(to) {
            // It has not heard from its cluster yet.
            _ if members.is_empty() => None,
            None => Some(Standing::Stranger),
            Some(member) if member.identity == to_identity => Some(Standing::Member),
            Some(_) => Some(Standing::OtherStorage),
        };
        Self {
            server: identity.server,
            identity: identity.server_identity,
            cluster: Some(identity.cluster),
            you,
            founders: None,
        }
    }
}

/// What a server is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make the storage, with these; and be a server of that cluster.
    Create(Identity, Founding),
    /// Introduce itself to its peers again, after a while.
    Wait(Waiting),
}

/// What a peer said last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Heard {
    identity: ServerIdentity,
    cluster: Option<ClusterId>,
    you: Option<Standing>,
    founders: Option<Founders>,
    /// The identities that it had before.
    before: Vec<ServerIdentity>,
}

/// A server without a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Founder {
    server: ServerId,
    identity: ServerIdentity,
    join: bool,
    /// All but this server.
    peers: BTreeSet<ServerId>,
    heard: BTreeMap<ServerId, Heard>,
}

impl Founder {
    /// A server with an empty disk, and the identity that it drew.
    ///
    /// # Errors
    /// [`FoundingError::TooMany`], [`FoundingError::NobodyToJoin`], [`FoundingError::Zero`].
    pub fn new(plan: Plan, identity: ServerIdentity) -> Result<Self, FoundingError> {
        let Plan {
            server,
            mut peers,
            join,
        } = plan;
        peers.remove(&server);
        if server == ServerId(0) || peers.contains(&ServerId(0)) {
            return Err(FoundingError::Zero);
        }
        if join && peers.is_empty() {
            return Err(FoundingError::NobodyToJoin);
        }
        if !join && peers.len() >= VOTERS_MAX {
            let servers = peers.len() + 1;
            return Err(FoundingError::TooMany { servers });
        }
        Ok(Self {
            server,
            identity,
            join,
            peers,
            heard: BTreeMap::new(),
        })
    }

    /// What this server says to everybody.
    #[must_use]
    pub fn introduction(&self) -> Introduction {
        Introduction {
            server: self.server,
            identity: self.identity,
            cluster: None,
            you: None,
            founders: (!self.join).then(|| self.founders()),
        }
    }

    fn founders(&self) -> Founders {
        let identity = |peer| self.heard.get(peer).map(|heard| heard.identity);
        let peers = self.peers.iter().map(|peer| (*peer, identity(peer)));
        peers.chain([(self.server, Some(self.identity))]).collect()
    }

    /// Takes what a server said. `asked` is the server whose address it was asked at; none where it
    /// introduced itself. Who is not among the peers is not listened to.
    ///
    /// # Errors
    /// [`FoundingError::WrongServer`], [`FoundingError::SameNumber`],
    /// [`FoundingError::ListsDiffer`], [`FoundingError::StorageBack`].
    pub fn hear(
        &mut self,
        asked: Option<ServerId>,
        said: Introduction,
    ) -> Result<(), FoundingError> {
        if let Some(asked) = asked.filter(|&asked| asked != said.server) {
            let says = said.server;
            return Err(FoundingError::WrongServer { asked, says });
        }
        let server = said.server;
        if server == self.server {
            return match said.identity == self.identity {
                // Its own address.
                true => Ok(()),
                false => Err(FoundingError::SameNumber { server }),
            };
        }
        if !self.peers.contains(&server) {
            return Ok(());
        }
        if let Some(theirs) = &said.founders
            && !self.join
        {
            let ours: BTreeSet<ServerId> = self.founders().into_keys().collect();
            let theirs: BTreeSet<ServerId> = theirs.keys().copied().collect();
            if theirs != ours {
                return Err(FoundingError::ListsDiffer {
                    server,
                    ours,
                    theirs,
                });
            }
        }
        let mut before = Vec::new();
        if let Some(known) = self.heard.remove(&server) {
            before = known.before;
            if known.identity != said.identity {
                before.push(known.identity);
            }
        }
        // What was under way when its disk was wiped, or two processes in turn.
        if before.contains(&said.identity) || before.len() >= STORAGES_MAX {
            return Err(FoundingError::StorageBack { server });
        }
        let heard = Heard {
            identity: said.identity,
            cluster: said.cluster,
            you: said.you,
            founders: said.founders,
            before,
        };
        self.heard.insert(server, heard);
        Ok(())
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// [`FoundingError::TwoClusters`], [`FoundingError::Wiped`], [`FoundingError::NotAdded`].
    pub fn decide(&self) -> Result<Decision, FoundingError> {
        let missing: BTreeSet<ServerId> = self
            .peers
            .iter()
            .filter(|peer| !self.heard.contains_key(peer))
            .copied()
            .collect();
        let Some(cluster) = self.founded()? else {
            let apart = self.apart();
            return Ok(match () {
                () if self.join => Decision::Wait(Waiting::Founded),
                () if !missing.is_empty() => Decision::Wait(Waiting::Introduced(missing)),
                () if !apart.is_empty() => Decision::Wait(Waiting::Agreed(apart)),
                () => self.together(),
            });
        };
        let complete = !self.join && missing.is_empty();
        if complete && self.cluster() == cluster {
            return Ok(self.together());
        }
        let server = self.server;
        let waiting = match self.standing() {
            // Where all were heard, another one's disk was wiped since the cluster was founded.
            Some((Standing::Member, _)) if self.join || complete => {
                let identity = self.identity_in(cluster);
                return Ok(Decision::Create(identity, Founding::Join));
            }
            Some((Standing::Member, _)) => Waiting::Rest { cluster, missing },
            Some((Standing::OtherStorage, by)) => {
                return Err(FoundingError::Wiped { server, by });
            }
            Some((Standing::Stranger, _)) if self.join => Waiting::Added { server },
            Some((Standing::Stranger, by)) => return Err(FoundingError::NotAdded { server, by }),
            None if self.join || complete => Waiting::Told { cluster },
            None => Waiting::Introduced(missing),
        };
        Ok(Decision::Wait(waiting))
    }

    /// The cluster that peers say they belong to.
    fn founded(&self) -> Result<Option<ClusterId>, FoundingError> {
        let mut founded = self
            .heard
            .iter()
            .filter_map(|(&server, heard)| Some((server, heard.cluster?)));
        let Some(first) = founded.next() else {
            return Ok(None);
        };
        match founded.find(|other| other.1 != first.1) {
            Some(second) => Err(FoundingError::TwoClusters { first, second }),
            None => Ok(Some(first.1)),
        }
    }

    /// What this server is to the cluster. Whoever takes it for a member has heard the most: a change of
    /// the members arrives at some later than at others.
    fn standing(&self) -> Option<(Standing, ServerId)> {
        let heard = self.heard.iter();
        heard
            .filter_map(|(&by, heard)| Some((heard.you?, by)))
            .max()
    }

    /// The peers that are to found too and have not said that they know what this server knows.
    fn apart(&self) -> BTreeSet<ServerId> {
        let ours = self.founders();
        let differs = |heard: &Heard| {
            heard
                .founders
                .as_ref()
                .is_some_and(|theirs| *theirs != ours)
        };
        let heard = self.heard.iter();
        heard
            .filter(|(_, heard)| differs(heard))
            .map(|(&server, _)| server)
            .collect()
    }

    fn identities(&self) -> BTreeMap<ServerId, ServerIdentity> {
        let heard = self.heard.iter();
        let peers = heard.map(|(&server, heard)| (server, heard.identity));
        peers.chain([(self.server, self.identity)]).collect()
    }

    /// The cluster's number, where all peers have been heard.
    fn cluster(&self) -> ClusterId {
        cluster_of(&self.identities())
    }

    fn identity_in(&self, cluster: ClusterId) -> Identity {
        Identity {
            cluster,
            server: self.server,
            server_identity: self.identity,
        }
    }

    fn together(&self) -> Decision {
        let voter = true;
        let members = self
            .identities()
            .into_iter()
            .map(|(server, identity)| (server, Member { identity, voter }));
        let members = Members::new(members);
        Decision::Create(
            self.identity_in(self.cluster()),
            Founding::Together(members),
        )
    }
}
