//! The way out when most voters are lost for good: one server goes on alone.
//!
//! This is the last resort, and it may lose what was committed: the server that is left need not have
//! the newest entries. Choose the one whose log ends last, see that no other old server runs any more or
//! ever will with its old storage, and add servers to the new cluster as new members.
//!
//! What is done makes two clusters of what was one, and keeps them apart: the storage is given a new
//! cluster's number, so that no message of an old server is read by it and none of its by them. Its
//! members are this server alone: in the snapshot, and all changes in the log are made into entries that
//! do nothing, because servers that are added will read the same log. Everything in the log counts as
//! committed. One more entry of a term of its own is appended, which must raise every slot's epoch: the
//! lost servers may have had slots, and given out tokens, that nobody here knows of.

use std::path::Path;

use raft::eraftpb::{Entry, EntryType};

use super::identity::{ClusterId, Identity};
use super::{EngineStorage, HardState, Storage, StorageError, Write};
use crate::members::{Member, Members};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Whose storage it is now.
    pub identity: Identity,
    /// The term of the entry that was appended.
    pub term: u64,
    /// Its index, which is the last of the log.
    pub index: u64,
}

/// Makes the storage of a stopped server that of a cluster of this server alone. `command` is what the
/// appended entry says to whoever applies the log: that every slot's epoch grows. `cluster` must be a
/// new random number.
///
/// Where it is interrupted, do it again: the server cannot become a leader before it is done.
///
/// # Errors
/// As [`EngineStorage::open`] and [`Storage::write`]. A server that has not heard from its cluster yet
/// ([`Founding::Join`](super::Founding)) has nothing to go on with and is [`StorageError::NotCreated`].
pub fn force_single_member(
    dir: &Path,
    cluster: ClusterId,
    command: Vec<u8>,
) -> Result<Forced, StorageError> {
    let (mut storage, stored) = EngineStorage::open(dir)?;
    let mut snapshot = stored.snapshot;
    if snapshot.index == 0 {
        let dir = dir.to_owned();
        return Err(StorageError::NotCreated { dir });
    }
    let identity = Identity {
        cluster,
        ..stored.identity
    };
    // First, so that the old servers never hear from one that thinks it is alone.
    identity.save(dir)?;
    let member = Member {
        identity: identity.server_identity,
        voter: true,
    };
    snapshot.members = Members::new([(identity.server, member)]);
    let mut entries = stored.entries;
    for entry in &mut entries {
        if entry.entry_type != EntryType::EntryNormal {
            *entry = Entry {
                term: entry.term,
                index: entry.index,
                ..Entry::default()
            };
        }
    }
    let last = entries.last().map_or(stored.base.index, |last| last.index);
    let (term, index) = (stored.hard.term + 1, last + 1);
    entries.push(Entry {
        term,
        index,
        data: command.into(),
        ..Entry::default()
    });
    let hard = HardState {
        term,
        vote: 0,
        commit: index,
    };
    storage.write(&Write {
        sync: true,
        hard: Some(hard),
        snapshot: Some(snapshot),
        entries,
        ..Write::default()
    })?;
    Ok(Forced {
        identity,
        term,
        index,
    })
}

#[cfg(test)]
mod tests {
    use dlm_core::{ServerId, Tick};

    use super::*;
    use crate::members::{MemberChange, ServerIdentity};
    use crate::replica::{Action, Config, Context, Event, MessageRefusal, Replica, Role};
    use crate::storage::Founding;

    /// A replica and its storage, a process long.
    struct Server {
        replica: Replica,
        storage: EngineStorage,
        now: Tick,
        seen: Vec<Action>,
    }

    impl Server {
        fn start(dir: &Path) -> Self {
            let (storage, stored) = EngineStorage::open(dir).expect("opened");
            let mut seen = Vec::new();
            let now = Tick(0);
            let replica =
                Replica::new(now, Config::DEFAULT, stored, 1, &mut seen).expect("a replica");
            let mut server = Self {
                replica,
                storage,
                now,
                seen: Vec::new(),
            };
            server.act(seen);
            server
        }

        fn step(&mut self, event: Event) {
            let mut out = Vec::new();
            self.replica.step(self.now, event, &mut out);
            self.act(out);
        }

        fn act(&mut self, actions: Vec<Action>) {
            for action in actions {
                if let Action::Persist(write) = &action {
                    self.storage.write(write).expect("written");
                    let number = write.number;
                    self.step(Event::Persisted { number });
                }
                self.seen.push(action);
            }
        }

        fn run(&mut self, micros: u64) {
            let until = self.now.plus(micros);
            while self.now < until {
                self.now = self.now.plus(Config::DEFAULT.tick_us);
                self.step(Event::Tick);
            }
        }
    }

    #[test]
    fn one_of_three_is_forced_and_its_cluster_is_another() {
        let (dir, old_dir) = (tempfile::tempdir(), tempfile::tempdir());
        let (dir, old_dir) = (dir.expect("a directory"), old_dir.expect("a directory"));
        let identity = |number: u64| Identity {
            cluster: ClusterId(5),
            server: ServerId(number),
            server_identity: ServerIdentity(u128::from(number)),
        };
        let others = Members::new((1..=3).map(|number| {
            let identity = identity(number).server_identity;
            let voter = true;
            (ServerId(number), Member { identity, voter })
        }));
        for (dir, number) in [(&dir, 1), (&old_dir, 2)] {
            let founding = Founding::Together(others.clone());
            EngineStorage::create(dir.path(), identity(number), founding).expect("created");
        }
        // Alone, it cannot lead a cluster of three.
        let mut server = Server::start(dir.path());
        server.run(2_000_000);
        assert_eq!(server.replica.role().0, Role::Candidate);
        drop(server);

        let command = b"new epochs".to_vec();
        force_single_member(dir.path(), ClusterId(6), command.clone()).expect("forced");
        let mut server = Server::start(dir.path());
        server.run(2_000_000);
        assert_eq!(server.replica.role().0, Role::Leader);
        let mut applied = server.seen.iter().filter_map(|action| match action {
            Action::Apply { bytes, .. } => Some(bytes),
            _ => None,
        });
        assert_eq!(applied.next(), Some(&command));
        // An old server does not hear from it, nor it from an old server.
        let mut old = Server::start(old_dir.path());
        old.run(2_000_000);
        let from = ServerId(2);
        let sent = old.seen.iter().find_map(|action| match action {
            Action::Send { to, bytes } if to.0 == 1 => Some(bytes.clone()),
            _ => None,
        });
        let bytes = sent.expect("it asks for votes");
        server.step(Event::Message { from, bytes });
        let why = MessageRefusal::Cluster;
        assert!(server.seen.contains(&Action::MessageRefused { from, why }));
        // Servers are added as new members.
        let change = MemberChange::AddLearner {
            server: ServerId(4),
            identity: ServerIdentity(4),
        };
        let context = Context(1);
        server.step(Event::Change { context, change });
        assert_eq!(server.replica.members().len(), 2);
    }
}
