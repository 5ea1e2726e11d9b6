//! Who belongs to the cluster: the members of its log, and how that may change.
//!
//! A member is a server *and* an identity: a number drawn at random when its storage was created. A
//! server whose disk was wiped and that was set up again under its old number has another identity, and
//! the others do not take it for the member that it was: it has forgotten what it voted for and what it
//! acknowledged, and counting it again could lose what was committed.
//!
//! Membership changes by one server at a time. Any majority before such a change and any majority after
//! it have a server in common, so no two leaders can be elected side by side; a change is proposed only
//! when the one before it has been applied, and only by a leader that has committed an entry of its own
//! term. More at once would need the two-step ("joint") change, which an operator gains nothing by: a
//! server is added as a learner first and is given a vote when it has caught up.

use std::collections::BTreeMap;

use dlm_core::ServerId;
use thiserror::Error;

/// The most members, learners included. Each costs the leader a heartbeat.
pub const MEMBERS_MAX: usize = 64;

/// The most members with a vote: what is committed waits for more than half of them, and seven live
/// through the loss of three.
pub const VOTERS_MAX: usize = 7;

/// The random number that a server's storage was given when it was created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIdentity(pub u128);

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerIdentity({:032x})", self.0)
    }
}

/// One member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which storage it must have.
    pub identity: ServerIdentity,
    /// Whether it has a vote; a learner only listens.
    pub voter: bool,
}

/// All members of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<ServerId, Member>);

/// A change by one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A server that is not a member listens from now on.
    AddLearner {
        /// Which; not 0.
        server: ServerId,
        /// The identity of its storage.
        identity: ServerIdentity,
    },
    /// A learner gets a vote.
    Promote {
        /// Which.
        server: ServerId,
    },
    /// A member is one no longer.
    Remove {
        /// Which.
        server: ServerId,
    },
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefusal {
    /// The number 0 means nobody.
    #[error("0 is not a server's number; count servers from 1")]
    Zero,
    /// It is in already.
    #[error("the server is a member already; remove it first if its storage is new")]
    Member,
    /// It is not in.
    #[error("the server is not a member; add it as a learner first")]
    NotMember,
    /// It votes already.
    #[error("the server has a vote already")]
    Voter,
    /// There are [`MEMBERS_MAX`] or [`VOTERS_MAX`].
    #[error(
        "the cluster has {MEMBERS_MAX} members or {VOTERS_MAX} voters already; remove one first"
    )]
    Full,
    /// Without it nobody could decide anything.
    #[error("it is the last server with a vote; give another one a vote first")]
    LastVoter,
}

impl Members {
    /// These, and no others.
    pub fn new(members: impl IntoIterator<Item = (ServerId, Member)>) -> Self {
        Self(members.into_iter().collect())
    }

    /// One of them.
    #[must_use]
    pub fn member(&self, server: ServerId) -> Option<Member> {
        self.0.get(&server).copied()
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, Member)> + '_ {
        self.0.iter().map(|(&server, &member)| (server, member))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, as on a server that has not heard from its cluster yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many have a vote.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.0.values().filter(|member| member.voter).count()
    }

    /// Whether `change` can be made now.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(&self, change: MemberChange) -> Result<(), ChangeRefusal> {
        match change {
            MemberChange::AddLearner {
                server: ServerId(0),
                ..
            } => Err(ChangeRefusal::Zero),
            MemberChange::AddLearner { server, .. } if self.0.contains_key(&server) => {
                Err(ChangeRefusal::Member)
            }
            MemberChange::AddLearner { .. } if self.0.len() >= MEMBERS_MAX => {
                Err(ChangeRefusal::Full)
            }
            MemberChange::AddLearner { .. } => Ok(()),
            MemberChange::Promote { server } => match self.0.get(&server) {
                None => Err(ChangeRefusal::NotMember),
                Some(member) if member.voter => Err(ChangeRefusal::Voter),
                Some(_) if self.voters() >= VOTERS_MAX => Err(ChangeRefusal::Full),
                Some(_) => Ok(()),
            },
            MemberChange::Remove { server } => match self.0.get(&server) {
                None => Err(ChangeRefusal::NotMember),
                Some(member) if member.voter && self.voters() == 1 => Err(ChangeRefusal::LastVoter),
                Some(_) => Ok(()),
            },
        }
    }

    /// Makes a change that [`check`](Self::check) allows.
    pub(crate) fn apply(&mut self, change: MemberChange) {
        match change {
            MemberChange::AddLearner { server, identity } => {
                let voter = false;
                self.0.insert(server, Member { identity, voter });
            }
            MemberChange::Promote { server } => {
                if let Some(member) = self.0.get_mut(&server) {
                    member.voter = true;
                }
            }
            MemberChange::Remove { server } => {
                self.0.remove(&server);
            }
        }
    }

    /// As bytes: a count, then each one's number, identity and vote, all numbers with their lowest byte
    /// first.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.0.len() as u32).to_le_bytes());
        for (server, member) in self.iter() {
            out.extend(server.0.to_le_bytes());
            out.extend(member.identity.0.to_le_bytes());
            out.push(u8::from(member.voter));
        }
    }

    /// Takes what [`encode`](Self::encode) wrote off the front of `bytes`; none where it is not that.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        if count > MEMBERS_MAX {
            return None;
        }
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let (server, rest) = bytes.split_first_chunk()?;
            let (identity, rest) = rest.split_first_chunk()?;
            let (&voter, rest) = rest.split_first()?;
            *bytes = rest;
            let identity = ServerIdentity(u128::from_le_bytes(*identity));
            let voter = voter == 1;
            let server = ServerId(u64::from_le_bytes(*server));
            members.insert(server, Member { identity, voter });
        }
        Some(Self(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Members {
        let identity = ServerIdentity(7);
        let voter = true;
        Members::new([(ServerId(1), Member { identity, voter })])
    }

    #[test]
    fn changes_are_checked() {
        let mut members = one();
        let (server, identity) = (ServerId(2), ServerIdentity(8));
        let add = MemberChange::AddLearner { server, identity };
        let promote = MemberChange::Promote { server };
        let last = MemberChange::Remove {
            server: ServerId(1),
        };
        assert_eq!(members.check(promote), Err(ChangeRefusal::NotMember));
        assert_eq!(members.check(last), Err(ChangeRefusal::LastVoter));
        for change in [add, promote] {
            assert_eq!(members.check(change), Ok(()));
            members.apply(change);
        }
        assert_eq!(members.check(add), Err(ChangeRefusal::Member));
        assert_eq!(members.check(promote), Err(ChangeRefusal::Voter));
        assert_eq!(members.check(last), Ok(()));
        members.apply(last);
        assert_eq!((members.len(), members.voters()), (1, 1));
        for number in 3..=MEMBERS_MAX as u64 + 1 {
            let server = ServerId(number);
            members.apply(MemberChange::AddLearner { server, identity });
        }
        let server = ServerId(1);
        let more = MemberChange::AddLearner { server, identity };
        assert_eq!(members.check(more), Err(ChangeRefusal::Full));
        for number in 3..2 + VOTERS_MAX as u64 {
            let server = ServerId(number);
            assert_eq!(members.check(MemberChange::Promote { server }), Ok(()));
            members.apply(MemberChange::Promote { server });
        }
        let server = ServerId(40);
        let more = MemberChange::Promote { server };
        assert_eq!(members.check(more), Err(ChangeRefusal::Full));
    }

    #[test]
    fn bytes_come_back_as_what_they_were() {
        let mut bytes = Vec::new();
        one().encode(&mut bytes);
        bytes.push(9);
        for len in 0..bytes.len() - 1 {
            assert_eq!(Members::decode(&mut &bytes[..len]), None);
        }
        let mut rest = &bytes[..];
        assert_eq!(Members::decode(&mut rest), Some(one()));
        assert_eq!(rest, [9]);
    }
}
