//! Who holds and who waits on this node: for the server's lock graph, and as gfs2's dump.

use std::fmt::Write;

use dlm_core::Owner;
use dlm_core::deadlock::{GlockReport, HolderReport};
use glock_core::State;

use super::table::Entry;
use super::{Glocks, Inner};

impl Inner {
    /// The tasks with their names, and every glock that somebody holds or waits for.
    pub(crate) fn report(&self) -> (Vec<(Owner, String)>, Vec<GlockReport>) {
        let tasks = self
            .tasks()
            .iter()
            .map(|(&owner, name)| (owner, name.clone()))
            .collect();
        let mut glocks = Vec::new();
        for shard in self.shards() {
            let used = shard
                .glocks
                .values()
                .filter(|entry| !entry.slots.is_empty());
            glocks.extend(used.map(|entry| self.report_glock(entry)));
        }
        glocks.sort_by(|a, b| a.name.cmp(&b.name));
        (tasks, glocks)
    }

    fn report_glock(&self, entry: &Entry) -> GlockReport {
        let now = self.now();
        let holders = entry.glock.holders().filter_map(|holder| {
            let tag = &entry.slots.iter().find(|slot| slot.id == holder.id)?.tag;
            Some(HolderReport {
                serial: holder.id.0,
                owner: holder.owner,
                mode: holder.state.mode(),
                granted: holder.granted,
                role: tag.role(),
                pins: tag.pins(),
                age_us: now.since(holder.since),
            })
        });
        let name = self.objects.resource(entry.glock.name());
        GlockReport {
            lockspace: self.lockspace,
            name,
            holders: holders.collect(),
        }
    }
}

impl Glocks {
    /// All glocks as gfs2 dumps them: a `G:` line, its holders, and the object's own line where it has
    /// one and the glock is not in UN.
    #[must_use]
    pub fn dump(&self) -> String {
        let inner = &self.inner;
        let mut glocks = Vec::new();
        for shard in inner.shards() {
            glocks.extend(shard.glocks.values().map(|entry| entry.glock.clone()));
        }
        glocks.sort_by_key(glock_core::Glock::name);
        let tasks = inner.tasks().clone();
        let now = inner.now();
        let mut text = String::new();
        for glock in glocks {
            let task = |owner: Owner| tasks.get(&owner).map(String::as_str);
            // Writing to a string does not fail.
            let _ = glock.dump(now, task, &mut text);
            let object = inner
                .objects
                .dump(glock.name())
                .filter(|_| glock.state() != State::Un);
            if let Some(line) = object {
                let _ = writeln!(text, " {line}");
            }
        }
        text
    }
}
