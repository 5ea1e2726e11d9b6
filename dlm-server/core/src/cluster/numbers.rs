//! The numbers of lockspaces: none is given out twice, and a name that comes back keeps its base.
//!
//! A lockspace ends with its last session, which may be after every single lock (`dlm lock` in a script).
//! The base decides on the slots of its resources, and the tokens of a slot only grow: so the tokens of a
//! resource do too for as long as its lockspace's name has the same base. What is remembered for that is
//! bounded, and the name that ended first is forgotten.
//!
//! What is never forgotten is how far the generations of a base are. So a base that goes to another name
//! does not bring back a number that a master may still know.

use alloc::collections::BTreeMap;

use super::limits::ENDED_LOCKSPACES_MAX;
use super::text::Name;
use crate::ids::{GENERATION_MAX, LockspaceBase, LockspaceId, LogIndex};

/// Which numbers lockspaces have had, and the names of those that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockspaceNumbers {
    /// Where the search for a new name's base begins: after the one that was given out last.
    pub base_next: LockspaceBase,
    /// The generation that a base begins with which no lockspace has had.
    pub generation_first: u32,
    /// The next generation of every base that a lockspace has had. None at or above it was given out; above
    /// [`GENERATION_MAX`] there is none.
    pub generations: BTreeMap<LockspaceBase, u32>,
    /// The lockspaces that ended and are remembered, by the base that each begins with when it is opened
    /// again. At most [`ENDED_LOCKSPACES_MAX`].
    pub ended: BTreeMap<LockspaceBase, EndedLockspace>,
}

/// A lockspace that nobody has open any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLockspace {
    /// Its name; no other has it, open or ended.
    pub name: Name,
    /// The entry with which it ended.
    pub at: LogIndex,
}

impl LockspaceNumbers {
    /// Before the first lockspace: that gets 1.
    pub(super) const fn new() -> Self {
        Self {
            base_next: LockspaceId(0).base(),
            generation_first: 1,
            generations: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// The generation that the next lockspace of a base has, where there is one left.
    #[must_use]
    pub fn generation_next(&self, base: LockspaceBase) -> u32 {
        let known = self.generations.get(&base).copied();
        known.unwrap_or(self.generation_first)
    }

    /// The number of a lockspace that is opened; `open` are the bases of those that are. `None`, and
    /// nothing changes, where every base is in use or has no generation left.
    pub(super) fn take(
        &mut self,
        name: &Name,
        open: impl Fn(LockspaceBase) -> bool,
    ) -> Option<LockspaceId> {
        let next = |base| LockspaceId::new(base, self.generation_next(base));
        let mut ended = self.ended.iter();
        let remembered = ended.find(|(_, one)| one.name == *name);
        let remembered = remembered.map(|(&base, _)| base);
        let id = remembered.and_then(next).or_else(|| {
            let unused = |base: &LockspaceBase| !self.ended.contains_key(base) && !open(*base);
            self.base_next.all_from().filter(unused).find_map(next)
        })?;
        let base = id.base();
        if let Some(old) = remembered {
            self.ended.remove(&old);
        }
        if remembered != Some(base) {
            self.base_next = base.following();
        }
        self.generations.insert(base, id.generation() + 1);
        Some(id)
    }

    /// The lockspace has ended with the entry at `at`.
    pub(super) fn end(&mut self, lockspace: LockspaceId, name: Name, at: LogIndex) {
        let ended = EndedLockspace { name, at };
        self.ended.insert(lockspace.base(), ended);
        if self.ended.len() > ENDED_LOCKSPACES_MAX {
            let first = self.ended.iter().min_by_key(|(base, one)| (one.at, **base));
            let first = first.map(|(&base, _)| base);
            first.map(|base| self.ended.remove(&base));
        }
    }

    /// Goes so many generations on with every base.
    pub(super) fn force(&mut self, by: u32) {
        let nexts = self.generations.values_mut();
        for next in nexts.chain([&mut self.generation_first]) {
            *next = next.saturating_add(by).min(GENERATION_MAX + 1);
        }
    }
}
