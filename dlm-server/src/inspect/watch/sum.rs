//! What is seen of the cluster, server by server.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::{ServerId, SlotId};
use glockwork_proto::coverage::{Coverage, Unreachable};
use glockwork_proto::{convert, wire};

use crate::inspect::OTHERS_WAIT_MAX;

/// The coverage of each server that is watched.
#[derive(Debug, Default)]
pub(super) struct Sum {
    ours: BTreeSet<SlotId>,
    others: BTreeMap<ServerId, Result<BTreeSet<SlotId>, Unreachable>>,
    told: Option<Coverage>,
}

impl Sum {
    /// This server serves these.
    pub(super) fn ours(&mut self, slots: Vec<SlotId>) {
        self.ours = slots.into_iter().collect();
    }

    /// Another one says what it serves.
    pub(super) fn heard(&mut self, server: ServerId, coverage: wire::Coverage) {
        let slots = convert::coverage(Some(coverage)).map(|coverage| coverage.slots);
        // One that says what cannot be is newer, and is heard all the same.
        self.others.insert(server, Ok(slots.unwrap_or_default()));
    }

    /// Another one is not heard.
    pub(super) fn lost(&mut self, server: ServerId, why: Unreachable) {
        self.others.insert(server, Err(why));
    }

    /// Another one is none of the cluster's.
    pub(super) fn removed(&mut self, server: ServerId) {
        self.others.remove(&server);
    }

    /// Whether something is known of each.
    pub(super) fn has_all(&self, servers: &BTreeSet<ServerId>) -> bool {
        servers
            .iter()
            .all(|server| self.others.contains_key(server))
    }

    /// Those of which nothing is known did not answer.
    pub(super) fn late(&mut self, servers: &BTreeSet<ServerId>) {
        for &server in servers {
            let late = || {
                let seconds = OTHERS_WAIT_MAX.as_secs();
                let why = format!("it did not answer within {seconds} s");
                let endpoint = None;
                Err(Unreachable { endpoint, why })
            };
            self.others.entry(server).or_insert_with(late);
        }
    }

    /// The sum, where it is another one than was told last.
    pub(super) fn news(&mut self) -> Option<Coverage> {
        let mut sum = Coverage::of(self.ours.iter().copied());
        for (&server, one) in &self.others {
            match one {
                Ok(slots) => sum.slots.extend(slots),
                Err(why) => {
                    sum.unreachable.insert(server, why.clone());
                }
            }
        }
        let is_news = self.told.as_ref() != Some(&sum);
        is_news.then(|| self.told.insert(sum).clone())
    }
}

#[cfg(test)]
mod tests {
    use glockwork_proto::render;

    use super::*;

    #[test]
    fn what_changed_is_told_once() {
        let (two, three) = (ServerId(2), ServerId(3));
        let slots: Vec<SlotId> = SlotId::all().collect();
        let mut sum = Sum::default();
        sum.ours(slots[..100].to_vec());
        let servers = BTreeSet::from([two, three]);
        sum.heard(
            two,
            render::coverage(Coverage::of(slots[100..].iter().copied())),
        );
        assert!(!sum.has_all(&servers));
        sum.late(&servers);
        assert!(sum.has_all(&servers));
        let told = sum.news().expect("news");
        assert_eq!((told.slots.len(), told.unreachable.len()), (256, 1));
        assert_eq!(sum.news(), None);
        sum.removed(three);
        assert!(sum.news().expect("news").is_whole());
        let why = Unreachable {
            endpoint: None,
            why: "it is down".into(),
        };
        sum.lost(two, why);
        let told = sum.news().expect("news");
        assert_eq!((told.slots.len(), told.unreachable.len()), (100, 1));
    }
}
