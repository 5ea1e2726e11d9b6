//! Which lockspaces are open, what they are called, and what they are like.

use std::collections::BTreeMap;

use dlm_core::{LockspaceId, LockspaceOptions};
use glockwork_proto::Name;
use glockwork_proto::frame::LockspaceRefusal;

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
    options: LockspaceOptions,
    sessions: usize,
}

/// What the shard has to know of an opened lockspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) id: LockspaceId,
    pub(crate) options: LockspaceOptions,
    /// Whether it was made just now.
    pub(crate) made: bool,
}

impl Lockspaces {
    /// Opens it for one more session, and makes it where it does not exist.
    pub(crate) fn open(
        &mut self,
        name: &Name,
        wanted: Option<LockspaceOptions>,
    ) -> Result<Opened, LockspaceRefusal> {
        if let Some(opened) = self.look(name, wanted)? {
            let open = self.by_id.get_mut(&opened.id);
            open.expect("both maps have it").sessions += 1;
            return Ok(opened);
        }
        if self.by_name.len() >= LOCKSPACES_MAX {
            return Err(LockspaceRefusal::TooMany);
        }
        let number = self.last.checked_add(1).ok_or(LockspaceRefusal::TooMany)?;
        self.last = number;
        let (id, options) = (LockspaceId(number), wanted.unwrap_or_default());
        let open = Open {
            name: name.clone(),
            options,
            sessions: 1,
        };
        self.by_name.insert(name.clone(), id);
        self.by_id.insert(id, open);
        Ok(Opened {
            id,
            options,
            made: true,
        })
    }

    /// The lockspace of that name, if there is one and it is like that.
    pub(crate) fn look(
        &self,
        name: &Name,
        wanted: Option<LockspaceOptions>,
    ) -> Result<Option<Opened>, LockspaceRefusal> {
        let Some(&id) = self.by_name.get(name) else {
            return Ok(None);
        };
        let options = self.by_id[&id].options;
        if wanted.is_some_and(|wanted| wanted != options) {
            return Err(LockspaceRefusal::Options(options));
        }
        Ok(Some(Opened {
            id,
            options,
            made: false,
        }))
    }

    /// One session less has it open. Whether it was the last, and the lockspace is gone.
    #[must_use]
    pub(crate) fn close(&mut self, id: LockspaceId) -> bool {
        let Some(open) = self.by_id.get_mut(&id) else {
            return false;
        };
        open.sessions -= 1;
        if open.sessions > 0 {
            return false;
        }
        self.by_name.remove(&open.name);
        self.by_id.remove(&id);
        true
    }

    /// The id of an open lockspace.
    pub(crate) fn id(&self, name: &Name) -> Option<LockspaceId> {
        self.by_name.get(name).copied()
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (LockspaceId, &Name, LockspaceOptions)> {
        let all = self.by_id.iter();
        all.map(|(&id, open)| (id, &open.name, open.options))
    }

    /// What they are called.
    pub(crate) fn names(&self) -> BTreeMap<LockspaceId, Name> {
        self.all().map(|(id, name, _)| (id, name.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlm_core::ValueLength;

    #[test]
    fn a_lockspace_lives_as_long_as_somebody_has_it_open_and_its_id_is_not_reused() {
        let mut lockspaces = Lockspaces::default();
        let name = Name::lossy("volume");
        let made = lockspaces.open(&name, None).unwrap();
        assert!(made.made);
        let again = Opened {
            made: false,
            ..made
        };
        assert_eq!(lockspaces.open(&name, None), Ok(again));
        assert!(!lockspaces.close(made.id));
        assert_eq!(lockspaces.id(&name), Some(made.id));
        assert!(lockspaces.close(made.id));
        assert_eq!(lockspaces.id(&name), None);
        assert!(lockspaces.names().is_empty());
        assert_ne!(lockspaces.open(&name, None).unwrap().id, made.id);
        assert!(!lockspaces.close(made.id));
    }

    #[test]
    fn who_makes_it_chooses_and_who_wants_another_is_told() {
        let mut lockspaces = Lockspaces::default();
        let name = Name::lossy("volume");
        let options = LockspaceOptions {
            value_length: ValueLength::new(64).unwrap(),
            breaks_deadlocks: true,
        };
        assert_eq!(
            lockspaces.open(&name, Some(options)).unwrap().options,
            options
        );
        assert_eq!(lockspaces.open(&name, None).unwrap().options, options);
        assert!(lockspaces.open(&name, Some(options)).is_ok());
        let other = LockspaceOptions::default();
        let refused = LockspaceRefusal::Options(options);
        assert_eq!(lockspaces.open(&name, Some(other)), Err(refused));
        let text = refused.to_string();
        assert!(text.contains("64 bytes") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn there_are_only_so_many() {
        let mut lockspaces = Lockspaces::default();
        for number in 0..LOCKSPACES_MAX {
            let name = Name::lossy(&number.to_string());
            lockspaces.open(&name, None).unwrap();
        }
        let more = lockspaces.open(&Name::lossy("more"), None);
        assert_eq!(more, Err(LockspaceRefusal::TooMany));
        assert!(lockspaces.open(&Name::lossy("7"), None).is_ok());
    }
}
