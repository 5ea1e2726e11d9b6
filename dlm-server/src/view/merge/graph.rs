//! The locks of several servers as one view, for the graph over all of them.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::deadlock::{LockView, NodeReport, Queue, ResourceView, Victim};
use dlm_core::{Epoch, LockId, LockspaceId, Owner, RequestFlags, ResourceName, SlotId, Tick};

/// All locks that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// In the order of lockspace and name.
    pub resources: Vec<ResourceView>,
    /// The epochs in which their slots were seen.
    epochs: BTreeMap<SlotId, Epoch>,
}

/// Joins what servers said.
#[must_use]
pub fn join(seen: impl IntoIterator<Item = (Epoch, ResourceView)>) -> Joined {
    let mut newest: BTreeMap<(LockspaceId, ResourceName), (Epoch, ResourceView)> = BTreeMap::new();
    let mut epochs = BTreeMap::new();
    for (epoch, view) in seen {
        let known: &mut Epoch = epochs
            .entry(SlotId::of(view.lockspace, &view.name))
            .or_insert(epoch);
        *known = epoch.max(*known);
        let of = (view.lockspace, view.name.clone());
        if newest.get(&of).is_none_or(|(known, _)| *known < epoch) {
            newest.insert(of, (epoch, view));
        }
    }
    // What an earlier master has is not true any more, even where the next one has nothing of that name.
    let resources = newest.into_values().filter(|(epoch, view)| {
        let slot = SlotId::of(view.lockspace, &view.name);
        epochs.get(&slot) == Some(epoch)
    });
    Joined {
        resources: resources.map(|(_, view)| view).collect(),
        epochs,
    }
}

impl Joined {
    /// In which slot a victim waits, and under which epoch that was seen.
    #[must_use]
    pub fn place_of(&self, victim: Victim) -> Option<(SlotId, Epoch)> {
        let waits = |lock: &LockView| {
            let of = (lock.session, lock.lock, lock.serial);
            of == (victim.session, victim.lock, victim.serial)
        };
        let mut resources = self.resources.iter();
        let resource = resources.find(|resource| resource.locks.iter().any(waits))?;
        let slot = SlotId::of(resource.lockspace, &resource.name);
        Some((slot, *self.epochs.get(&slot)?))
    }
}

/// Completes a view of only those resources that somebody waits for at a server, with those that tasks wait for
/// on their own node: a node that has a local holder there has a lock that is granted, and nobody waits for
/// it at a server. The graph is then the same as with all resources.
#[must_use]
pub fn with_local_waits(
    mut resources: Vec<ResourceView>,
    reports: &[NodeReport],
) -> Vec<ResourceView> {
    let known: BTreeSet<_> = resources
        .iter()
        .map(|view| (view.lockspace, view.name.clone()))
        .collect();
    let mut local: BTreeMap<(LockspaceId, ResourceName), Vec<LockView>> = BTreeMap::new();
    for report in reports {
        for glock in &report.glocks {
            let of = (glock.lockspace, glock.name.clone());
            let holds = |granted| glock.holders.iter().any(|one| one.granted == granted);
            if !known.contains(&of) && holds(true) && holds(false) {
                let mode = glock.holders.iter().find(|one| one.granted);
                local.entry(of).or_default().push(LockView {
                    session: report.session,
                    lock: LockId(0),
                    owner: Owner(0),
                    queue: Queue::Granted,
                    granted: mode.map(|one| one.mode),
                    requested: None,
                    since: Tick(0),
                    serial: 0,
                    flags: RequestFlags::empty(),
                });
            }
        }
    }
    resources.extend(
        local
            .into_iter()
            .map(|((lockspace, name), locks)| ResourceView {
                lockspace,
                name,
                locks,
            }),
    );
    resources
}

#[cfg(test)]
mod tests {
    use dlm_core::deadlock::{self, GlockReport, HolderReport, Role};
    use dlm_core::{Mode, SessionId};

    use super::*;

    const SPACE: LockspaceId = LockspaceId(1);
    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn name(text: &str) -> ResourceName {
        ResourceName::new(text.as_bytes()).expect("a name")
    }

    fn lock(session: SessionId, granted: Option<Mode>, requested: Option<Mode>) -> LockView {
        LockView {
            session,
            lock: LockId(1),
            owner: Owner(0),
            queue: if requested.is_some() {
                Queue::Waiting
            } else {
                Queue::Granted
            },
            granted,
            requested,
            since: Tick(5),
            serial: session.0 + 10,
            flags: RequestFlags::empty(),
        }
    }

    fn view(text: &str, locks: Vec<LockView>) -> ResourceView {
        ResourceView {
            lockspace: SPACE,
            name: name(text),
            locks,
        }
    }

    #[test]
    fn the_newest_epoch_of_a_slot_counts_and_names_the_victims_place() {
        let old = view("a", vec![lock(A, Some(Mode::Ex), None)]);
        let new = view("a", vec![lock(B, None, Some(Mode::Ex))]);
        let slot = SlotId::of(SPACE, &name("a"));
        for seen in [
            [(Epoch(3), old.clone()), (Epoch(4), new.clone())],
            [(Epoch(4), new.clone()), (Epoch(3), old)],
        ] {
            let joined = join(seen);
            assert_eq!(joined.resources, std::slice::from_ref(&new));
            let mut victim = Victim {
                session: B,
                lock: LockId(1),
                serial: 12,
            };
            assert_eq!(joined.place_of(victim), Some((slot, Epoch(4))));
            victim.serial = 13;
            assert_eq!(joined.place_of(victim), None);
        }
    }

    fn holder(owner: u64, mode: Mode, granted: bool) -> HolderReport {
        HolderReport {
            serial: owner,
            owner: Owner(owner),
            mode,
            granted,
            role: Role::Operation,
            pins: 0,
            age_us: 1,
        }
    }

    /// Task 1 of A holds x and waits for y, which B holds; a task of B waits for x, on A's node for task 1
    /// too. x has a queue at its server only in part.
    #[test]
    fn the_graph_of_what_is_waited_for_is_the_graph_of_all() {
        let all = vec![
            view("w", vec![lock(A, Some(Mode::Ex), None)]),
            view(
                "x",
                vec![lock(A, Some(Mode::Ex), None), lock(B, None, Some(Mode::Ex))],
            ),
            view(
                "y",
                vec![lock(B, Some(Mode::Ex), None), lock(A, None, Some(Mode::Pr))],
            ),
            view("z", vec![lock(A, Some(Mode::Ex), None)]),
        ];
        let glock = |text, holders| GlockReport {
            lockspace: SPACE,
            name: name(text),
            holders,
        };
        let reports = [
            NodeReport {
                session: A,
                tasks: Vec::new(),
                glocks: vec![
                    glock("w", vec![holder(1, Mode::Ex, true)]),
                    glock("x", vec![holder(1, Mode::Ex, true)]),
                    glock("y", vec![holder(2, Mode::Pr, false)]),
                    glock(
                        "z",
                        vec![holder(2, Mode::Ex, true), holder(1, Mode::Pr, false)],
                    ),
                ],
            },
            NodeReport {
                session: B,
                tasks: Vec::new(),
                glocks: vec![
                    glock("x", vec![holder(3, Mode::Ex, false)]),
                    glock("y", vec![holder(3, Mode::Ex, true)]),
                ],
            },
        ];
        let whole = deadlock::build_at(Tick(9), &all, &reports);
        assert_eq!(whole.cycles.len(), 1, "{whole:?}");
        let waited = |view: &&ResourceView| view.locks.iter().any(|one| one.requested.is_some());
        let part: Vec<_> = all.iter().filter(waited).cloned().collect();
        assert_eq!(part.len(), 2);
        let completed = with_local_waits(part, &reports);
        assert_eq!(deadlock::build_at(Tick(9), &completed, &reports), whole);
    }
}
