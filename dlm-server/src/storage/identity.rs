//! Whose storage it is: a small text file that a person can read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use dlm_core::ServerId;

use super::ledger::digest;
use super::{StorageError, draft};
use crate::members::ServerIdentity;

/// The newest format of a server's directory.
pub const FORMAT: u32 = 1;

/// The file's name.
pub(super) const FILE: &str = "identity";

/// What the file is called while it is written.
pub(super) const NEW: &str = "identity.new";

/// The number that a cluster was given when it was founded: a random one, or [`cluster_of`] its first
/// servers' identities, which are random. Messages of another cluster are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

/// The number of the cluster that these servers found together. Each of them computes it for itself.
///
/// It is FNV-1a in 128 bits (offset basis 0x6c62272e07bb014262b821756295c58d, prime 2^88 + 0x13b, from
/// the function's IETF draft) over each server in order of number: its number in 8 bytes, its identity
/// in 16, the lowest first. The identities are random and nobody's to choose, so a plain digest is
/// enough to tell clusters apart.
#[must_use]
pub fn cluster_of(identities: &BTreeMap<ServerId, ServerIdentity>) -> ClusterId {
    let mut hash = FNV_OFFSET;
    for (server, identity) in identities {
        let (server, identity) = (server.0.to_le_bytes(), identity.0.to_le_bytes());
        hash = fnv(hash, server.into_iter().chain(identity));
    }
    ClusterId(hash)
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = (1 << 88) + 0x13b;

fn fnv(hash: u128, bytes: impl IntoIterator<Item = u8>) -> u128 {
    let step = |hash: u128, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
    bytes.into_iter().fold(hash, step)
}

/// Whose storage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which cluster's.
    pub cluster: ClusterId,
    /// Which server's.
    pub server: ServerId,
    /// The random number that it was given when it was created.
    pub server_identity: ServerIdentity,
}

impl Identity {
    fn render(&self) -> String {
        let text = format!(
            "format {FORMAT}\ncluster {:032x}\nserver {}\nidentity {:032x}\n",
            self.cluster.0, self.server.0, self.server_identity.0
        );
        let check = digest(0, text.as_bytes());
        format!("{text}check {check:016x}\n")
    }

    /// Whether a server's storage was made in this directory: it has an identity, readable or not.
    #[must_use]
    pub fn is_kept_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Writes the file so that it is there as a whole or not at all.
    pub(super) fn save(&self, dir: &Path) -> Result<(), StorageError> {
        let (new, file) = (dir.join(NEW), dir.join(FILE));
        let save = || -> io::Result<()> {
            let mut writer = File::create(&new)?;
            writer.write_all(self.render().as_bytes())?;
            writer.sync_all()?;
            fs::rename(&new, &file)?;
            File::open(dir)?.sync_all()
        };
        save()
            .map_err(|source| StorageError::io(format!("cannot write {}", file.display()), source))
    }

    /// Reads the file.
    pub(super) fn load(dir: &Path) -> Result<Self, StorageError> {
        let file = dir.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
                // Beside a draft nothing was ever acknowledged.
                let new = empty || dir.join(draft::FILE).exists();
                let dir = dir.to_owned();
                return Err(match new {
                    true => StorageError::NotCreated { dir },
                    false => StorageError::Missing { file },
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let what = "it is not text".to_owned();
                return Err(StorageError::Identity { file, what });
            }
            Err(source) => {
                let what = format!("cannot read {}", file.display());
                return Err(StorageError::io(what, source));
            }
        };
        let found = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("format ")?.parse().ok());
        match found {
            Some(found) if found > FORMAT => {
                let known = FORMAT;
                return Err(StorageError::Format { file, found, known });
            }
            _ => {}
        }
        let identity = parse(&text).filter(|identity| identity.render() == text);
        identity.ok_or_else(|| {
            let what = "its lines are not as they were written".to_owned();
            StorageError::Identity { file, what }
        })
    }
}

fn parse(text: &str) -> Option<Identity> {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    Some(Identity {
        cluster: ClusterId(u128::from_str_radix(field("cluster")?, 16).ok()?),
        server: ServerId(field("server")?.parse().ok()?),
        server_identity: ServerIdentity(u128::from_str_radix(field("identity")?, 16).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first three are the function's published test values.
    #[test]
    fn the_clusters_number_is_the_same_everywhere() {
        for (text, expected) in [
            ("", 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d),
            ("a", 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964),
            ("foobar", 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18),
        ] {
            assert_eq!(fnv(FNV_OFFSET, text.bytes()), expected, "{text:?}");
        }
        let number = |identities: &[(u64, u128)]| {
            let pairs = identities.iter();
            cluster_of(
                &pairs
                    .map(|&(server, identity)| (ServerId(server), ServerIdentity(identity)))
                    .collect(),
            )
        };
        let three = number(&[(1, 10), (2, 20), (3, 30)]);
        assert_eq!(number(&[(3, 30), (1, 10), (2, 20)]), three);
        for other in [
            &[(1, 10), (2, 20)][..],
            &[(1, 10), (2, 20), (3, 31)],
            &[(1, 10), (2, 20), (4, 30)],
            &[(1, 20), (2, 10), (3, 30)],
        ] {
            assert_ne!(number(other), three, "{other:?}");
        }
    }

    #[test]
    fn a_file_that_changed_is_not_an_identity() {
        let identity = Identity {
            cluster: ClusterId(0xabc),
            server: ServerId(3),
            server_identity: ServerIdentity(0xdef),
        };
        let dir = tempfile::tempdir().expect("a directory");
        let load = || Identity::load(dir.path());
        assert!(matches!(load(), Err(StorageError::NotCreated { .. })));
        identity.save(dir.path()).expect("saved");
        assert_eq!(load().expect("loaded"), identity);
        let file = dir.path().join(FILE);
        let text = fs::read(&file).expect("read");
        for at in 0..text.len() {
            let mut broken = text.clone();
            broken[at] ^= 1;
            fs::write(&file, &broken).expect("written");
            assert!(load().is_err(), "a flipped bit in byte {at} is found");
            fs::write(&file, &text[..at]).expect("written");
            assert!(load().is_err(), "a file of {at} bytes is found");
        }
        fs::remove_file(&file).expect("removed");
        fs::write(dir.path().join("log"), b"").expect("written");
        assert!(matches!(load(), Err(StorageError::Missing { .. })));
    }
}
