//! Who holds and who waits on this node: for the server's lock graph, and as gfs2's dump.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write;
use std::sync::Arc;

use dlm_core::deadlock::{GlockReport, HolderReport};
use dlm_core::{LockspaceId, Owner};
use glock_core::{Glock, GlockDump, GlockFlags, GlockName, State};
use glockwork_proto::caches::{Cache, CacheCounters};
use glockwork_proto::glocks::{self as proto, GlocksQuery, GlocksReport, ObjectLines};
use glockwork_proto::holders::QueryId;
use glockwork_proto::limits::CACHES_PER_REPORT_MAX;
use glockwork_proto::{GLOCKS_PER_PAGE_MAX, Name};

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
        glocks.sort_by_key(Glock::name);
        let tasks = inner.tasks().clone();
        let now = inner.now();
        let mut text = String::new();
        for glock in glocks {
            let mut dump = glock.dump(now);
            let object = inner.object_line(&mut dump);
            let task = |owner: Owner| tasks.get(&owner).map(String::as_str);
            // Writing to a string does not fail.
            let _ = dump.write(task, &mut text);
            if let Some(line) = object {
                let _ = writeln!(text, " {line}");
            }
        }
        text
    }
}

impl Inner {
    pub(crate) fn lockspace(&self) -> LockspaceId {
        self.lockspace
    }

    /// The names of the first so many glocks behind one, and whether there are more.
    pub(crate) fn names_after(
        &self,
        after: Option<GlockName>,
        max: usize,
    ) -> (Vec<GlockName>, bool) {
        let mut first = BinaryHeap::with_capacity(max + 1);
        let mut more = false;
        for shard in self.shards() {
            let names = shard.glocks.keys().copied();
            for name in names.filter(|&name| after.is_none_or(|after| name > after)) {
                if first.len() < max {
                    first.push(name);
                } else {
                    more = true;
                    let mut largest = first.peek_mut().expect("max is not zero");
                    if name < *largest {
                        *largest = name;
                    }
                }
            }
        }
        (first.into_sorted_vec(), more)
    }

    /// A glock as a dump shows it, if it is still there.
    pub(crate) fn dump_of(&self, name: GlockName) -> Option<proto::Glock> {
        let now = self.now();
        let mut dump = self.shard(name).glocks.get(&name)?.glock.dump(now);
        // Not under the table's lock.
        let object = self.object_line(&mut dump);
        let tasks = self.tasks();
        let holders = dump.holders.iter().map(|holder| proto::GlockHolder {
            state: holder.state.mode(),
            flags: holder.flags.bits(),
            granted: holder.granted,
            owner: holder.owner,
            task: tasks.get(&holder.owner).map(|name| Name::lossy(name)),
            age_us: holder.age_us,
        });
        let glock = proto::Glock {
            name: name.resource(),
            state: dump.state.mode(),
            target: dump.target.mode(),
            demanded: dump.demanded.map(State::mode),
            demanded_us: dump.demanded_us,
            flags: dump.flags.bits(),
            references: dump.references,
            hold_ms: dump.hold_ms,
            holders: holders.collect(),
            holders_left_out: 0,
            object: object.as_deref().and_then(ObjectLines::lossy),
        };
        Some(glock.cut())
    }

    /// The object's own line, if it has one and the glock is not in UN, with the flag that says so.
    fn object_line(&self, dump: &mut GlockDump) -> Option<String> {
        if dump.state == State::Un {
            return None;
        }
        let line = self.objects.dump(dump.name)?;
        dump.flags |= GlockFlags::OBJECT;
        Some(line)
    }
}

/// What is asked: a page of glocks, or what is counted of them.
pub(crate) fn answer(tables: &[Arc<Inner>], query: GlocksQuery) -> GlocksReport {
    if query.caches {
        return GlocksReport {
            caches: caches(tables),
            ..nothing(query.query)
        };
    }
    page(tables, query)
}

const fn nothing(query: QueryId) -> GlocksReport {
    GlocksReport {
        query,
        glocks: Vec::new(),
        more: false,
        caches: Vec::new(),
    }
}

/// What is counted in the tables of a session, by lockspace.
fn caches(tables: &[Arc<Inner>]) -> Vec<Cache> {
    let mut caches: BTreeMap<LockspaceId, CacheCounters> = BTreeMap::new();
    for table in tables {
        let (counted, glocks) = table.counters();
        let sum = caches.entry(table.lockspace).or_default();
        sum.glocks += glocks as u64;
        sum.requests += counted.requests;
        sum.hits += counted.cached;
        sum.demotions += counted.demotions;
        sum.callbacks += counted.callbacks;
    }
    let caches = caches.into_iter().take(CACHES_PER_REPORT_MAX);
    caches
        .map(|(lockspace, counters)| Cache {
            lockspace,
            counters,
        })
        .collect()
}

/// A page of the glocks in all tables of a session.
///
/// Two tables over one lockspace may both have a glock; it is the first one's then.
fn page(tables: &[Arc<Inner>], query: GlocksQuery) -> GlocksReport {
    let mut report = nothing(query.query);
    let mut after = query.after.as_ref().and_then(GlockName::of_resource);
    let tables = tables.iter();
    let tables: Vec<_> = tables
        .filter(|table| table.lockspace() == query.lockspace)
        .collect();
    // Nothing but glocks that have gone meanwhile is not the end.
    while report.glocks.is_empty() {
        let mut names = BTreeMap::new();
        report.more = false;
        for table in &tables {
            let (first, more) = table.names_after(after, GLOCKS_PER_PAGE_MAX);
            report.more |= more;
            for name in first {
                names.entry(name).or_insert(*table);
            }
        }
        // Beyond so many, a table may have names that it did not say.
        while names.len() > GLOCKS_PER_PAGE_MAX {
            names.pop_last();
            report.more = true;
        }
        let Some(&last) = names.keys().next_back() else {
            break;
        };
        fill(&mut report, names);
        after = Some(last);
    }
    report
}

/// As many of them as have room in a page; each alone has.
fn fill(report: &mut GlocksReport, names: BTreeMap<GlockName, &Arc<Inner>>) {
    let mut room = GLOCKS_PER_PAGE_MAX;
    for (name, table) in names {
        let Some(glock) = table.dump_of(name) else {
            continue;
        };
        let Some(rest) = room.checked_sub(glock.entries()) else {
            report.more = true;
            return;
        };
        room = rest;
        report.glocks.push(glock);
    }
}
