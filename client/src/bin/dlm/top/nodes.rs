//! What nodes count of their glocks, a second.

use std::collections::{BTreeMap, VecDeque};

use dlm_client::inspect::{Cache, Caches};

/// Looks that are kept: as far apart as the windows of other rates are long.
const LOOKS_MAX: usize = 6;

/// A node's cache in the last few seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) glocks: u64,
    /// Which part of what was asked for was there, 0 to 1: in the last few seconds, or where nothing was asked
    /// for in these, since the node began.
    pub(super) hits: Option<f64>,
    /// A second; none after one look.
    pub(super) requests: Option<f64>,
    pub(super) demotions: Option<f64>,
    pub(super) callbacks: Option<f64>,
    pub(super) silent: bool,
}

/// The last looks.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    looks: VecDeque<(u64, BTreeMap<u64, Cache>)>,
    silent: Vec<(u64, String)>,
}

impl Nodes {
    /// One more look.
    pub(super) fn see(&mut self, now_us: u64, all: Caches) {
        let mut nodes: BTreeMap<u64, Cache> = BTreeMap::new();
        for one in all.caches {
            let sum = nodes.entry(one.session).or_default();
            sum.session_name = one.session_name;
            sum.glocks += one.glocks;
            sum.requests += one.requests;
            sum.hits += one.hits;
            sum.demotions += one.demotions;
            sum.callbacks += one.callbacks;
        }
        self.silent = all
            .silent
            .into_iter()
            .map(|one| (one.session, one.name))
            .collect();
        self.looks.push_back((now_us, nodes));
        if self.looks.len() > LOOKS_MAX {
            self.looks.pop_front();
        }
    }

    /// A row for each node, by the sessions' numbers; the silent ones last.
    pub(super) fn rows(&self) -> Vec<NodeRow> {
        let Some((now_us, newest)) = self.looks.back() else {
            return Vec::new();
        };
        let rows = newest.iter().map(|(session, now)| {
            let mut looks = self.looks.iter();
            let before = looks.find_map(|(at_us, nodes)| Some((*at_us, nodes.get(session)?)));
            row(*now_us, now, before.filter(|(at_us, _)| at_us < now_us))
        });
        let silent = self.silent.iter().map(|(_, name)| NodeRow {
            name: name.clone(),
            silent: true,
            ..NodeRow::default()
        });
        rows.chain(silent).collect()
    }
}

fn row(now_us: u64, now: &Cache, before: Option<(u64, &Cache)>) -> NodeRow {
    let since = |of: fn(&Cache) -> u64| {
        let (at_us, before) = before?;
        let seconds = (now_us - at_us) as f64 / 1e6;
        // A process that began anew counts from zero.
        Some(of(now).saturating_sub(of(before)) as f64 / seconds)
    };
    let requests = since(|cache| cache.requests);
    let hits = since(|cache| cache.hits);
    let lately = hits.zip(requests.filter(|&requests| requests > 0.0));
    NodeRow {
        name: now.session_name.clone(),
        glocks: now.glocks,
        hits: lately
            .map(|(hits, requests)| (hits / requests).min(1.0))
            .or_else(|| now.hit_rate()),
        requests,
        demotions: since(|cache| cache.demotions),
        callbacks: since(|cache| cache.callbacks),
        silent: false,
    }
}

#[cfg(test)]
mod tests {
    use dlm_client::inspect::SilentSession;

    use super::*;

    fn caches(requests: u64, hits: u64) -> Caches {
        let cache = |lockspace: &str| Cache {
            session: 3,
            session_name: "node1".into(),
            lockspace: lockspace.into(),
            glocks: 4,
            requests,
            hits,
            demotions: requests / 10,
            callbacks: requests / 20,
        };
        Caches {
            caches: vec![cache("a"), cache("b")],
            silent: vec![SilentSession {
                session: 9,
                name: "node9".into(),
            }],
        }
    }

    #[test]
    fn a_node_is_the_sum_of_its_lockspaces_and_a_rate_needs_two_looks() {
        let mut nodes = Nodes::default();
        assert_eq!(nodes.rows(), []);
        nodes.see(1_000_000, caches(100, 50));
        let rows = nodes.rows();
        assert_eq!((rows[0].glocks, rows[0].hits), (8, Some(0.5)));
        assert_eq!((rows[0].requests, rows[1].silent), (None, true));
        nodes.see(3_000_000, caches(200, 140));
        let rows = nodes.rows();
        assert_eq!((rows[0].requests, rows[0].hits), (Some(100.0), Some(0.9)));
        assert_eq!(
            (rows[0].demotions, rows[0].callbacks),
            (Some(10.0), Some(5.0))
        );
        // One that began anew, and one that asks for nothing.
        nodes.see(4_000_000, caches(10, 5));
        assert_eq!(nodes.rows()[0].requests, Some(0.0));
        for second in 5..20 {
            nodes.see(second * 1_000_000, caches(10, 5));
        }
        assert_eq!(nodes.rows()[0].hits, Some(0.5));
        assert_eq!(nodes.looks.len(), LOOKS_MAX);
    }
}
