//! Which lockspaces are open, and what they are called.

use std::collections::BTreeMap;

use dlm_core::{LockspaceId, Refusal};
use glockwork_proto::Name;

use crate::limits::LOCKSPACES_MAX;

/// The open lockspaces. One exists for as long as some session has it open; its id is never given to
/// another.
#[derive(Debug, Default)]
pub(crate) struct Lockspaces {
    by_name: BTreeMap<Name, LockspaceId>,
    by_id: BTreeMap<LockspaceId, Open>,
    last: u32,
}

#[derive(Debug)]
struct Open {
    name: Name,
    sessions: usize,
}

impl Lockspaces {
    /// Opens it for one more session, and makes it where it does not exist.
    pub(crate) fn open(&mut self, name: &Name) -> Result<LockspaceId, Refusal> {
        if let Some(&id) = self.by_name.get(name) {
            let open = self.by_id.get_mut(&id);
            open.expect("both maps have it").sessions += 1;
            return Ok(id);
        }
        if self.by_name.len() >= LOCKSPACES_MAX {
            return Err(Refusal::Resources);
        }
        let number = self.last.checked_add(1).ok_or(Refusal::Resources)?;
        self.last = number;
        let id = LockspaceId(number);
        let name = name.clone();
        self.by_name.insert(name.clone(), id);
        self.by_id.insert(id, Open { name, sessions: 1 });
        Ok(id)
    }

    /// One session less has it open.
    pub(crate) fn close(&mut self, id: LockspaceId) {
        let Some(open) = self.by_id.get_mut(&id) else {
            return;
        };
        open.sessions -= 1;
        if open.sessions == 0 {
            self.by_name.remove(&open.name);
            self.by_id.remove(&id);
        }
    }

    /// The id of an open lockspace.
    pub(crate) fn id(&self, name: &Name) -> Option<LockspaceId> {
        self.by_name.get(name).copied()
    }

    /// All of them.
    pub(crate) fn names(&self) -> BTreeMap<LockspaceId, Name> {
        let named = |(&id, open): (&LockspaceId, &Open)| (id, open.name.clone());
        self.by_id.iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockspace_lives_as_long_as_somebody_has_it_open_and_its_id_is_not_reused() {
        let mut lockspaces = Lockspaces::default();
        let name = Name::lossy("volume");
        let id = lockspaces.open(&name).unwrap();
        assert_eq!(lockspaces.open(&name), Ok(id));
        lockspaces.close(id);
        assert_eq!(lockspaces.id(&name), Some(id));
        lockspaces.close(id);
        assert_eq!(lockspaces.id(&name), None);
        assert!(lockspaces.names().is_empty());
        assert_ne!(lockspaces.open(&name), Ok(id));
        lockspaces.close(id);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut lockspaces = Lockspaces::default();
        for number in 0..LOCKSPACES_MAX {
            lockspaces.open(&Name::lossy(&number.to_string())).unwrap();
        }
        assert_eq!(
            lockspaces.open(&Name::lossy("more")),
            Err(Refusal::Resources)
        );
        assert!(lockspaces.open(&Name::lossy("7")).is_ok());
    }
}
