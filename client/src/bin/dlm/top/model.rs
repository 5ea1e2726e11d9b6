//! What is shown: plain data, made of what servers and nodes say, by a clock that comes in as an argument.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dlm_client::Mode;
use dlm_client::graph::{Cycle, Edge, GraphSnapshot, Object, Resource, Task};
use dlm_client::inspect::{Caches, ClusterStatus, Coverage, Heard, News, SLOTS, ServerStatus};
use dlm_client::pattern::fits_object;

use super::nodes::{NodeRow, Nodes};
use super::rates::Window;
use super::resources::{Rates, Resources};
use super::spent::Shares;
use super::view::{Sort, View};

/// What is learned from outside.
#[derive(Debug)]
pub(super) enum Feed {
    /// The watch says something.
    News(News),
    /// The watch hears nobody, and why.
    NotHeard(String),
    /// Somebody was asked.
    Looked(Box<Looked>),
    /// Nobody answered, and why.
    NotLooked(String),
}

/// The answers to what is asked every second.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) graph: GraphSnapshot,
    pub(super) caches: Caches,
    pub(super) status: ServerStatus,
    /// Not there where the server is older.
    pub(super) cluster: Option<ClusterStatus>,
}

/// All that is known, and what of it is to be shown.
#[derive(Debug)]
pub(super) struct Model {
    begun_us: u64,
    resources: Resources,
    nodes: Nodes,
    events: Window,
    missed: u64,
    graph: GraphSnapshot,
    looked_us: Option<u64>,
    status: ServerStatus,
    cluster: Option<ClusterStatus>,
    heard: Option<Coverage>,
    not_heard: Option<String>,
    not_looked: Option<String>,
    pub(super) view: View,
}

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) task: Task,
    pub(super) object: Object,
    pub(super) wants: Mode,
    pub(super) waited_us: u64,
    /// The first in the way, and how many more there are.
    pub(super) behind: Task,
    pub(super) holds: Mode,
    pub(super) more: usize,
    pub(super) in_cycle: bool,
}

impl Model {
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            begun_us: now_us,
            resources: Resources::new(now_us),
            nodes: Nodes::default(),
            events: Window::default(),
            missed: 0,
            graph: GraphSnapshot::default(),
            looked_us: None,
            status: ServerStatus::default(),
            cluster: None,
            heard: None,
            not_heard: None,
            not_looked: None,
            view: View::default(),
        }
    }

    /// Something was learned.
    pub(super) fn learn(&mut self, now_us: u64, feed: Feed) {
        match feed {
            Feed::News(News::Heard(heard)) => self.hear(now_us, heard),
            Feed::News(News::Lost { endpoint, why }) => {
                self.not_heard = Some(format!("{endpoint} is not heard any more: {why}"));
            }
            Feed::News(News::Back { .. }) => self.not_heard = None,
            Feed::NotHeard(why) => self.not_heard = Some(why),
            Feed::Looked(looked) => self.look(now_us, *looked),
            Feed::NotLooked(why) => self.not_looked = Some(why),
        }
    }

    fn hear(&mut self, now_us: u64, heard: Heard) {
        self.not_heard = None;
        for event in &heard.events {
            let at_us = now_us.saturating_sub(event.age_us);
            self.events.add(at_us, 1);
            self.resources.hear(at_us, event);
        }
        for missed in &heard.missed {
            self.events.add(now_us, missed.events);
            self.missed += missed.events;
        }
        self.heard = heard.coverage.or_else(|| self.heard.take());
    }

    fn look(&mut self, now_us: u64, looked: Looked) {
        self.not_looked = None;
        self.resources.see(now_us, &looked.graph);
        self.nodes.see(now_us, looked.caches);
        self.graph = looked.graph;
        self.status = looked.status;
        self.cluster = looked.cluster;
        self.looked_us = Some(now_us);
    }

    /// Whether there is something to show of everything.
    pub(super) const fn is_complete(&self) -> bool {
        self.looked_us.is_some() && self.heard.is_some()
    }

    /// The line at the top.
    pub(super) fn header(&self, now_us: u64) -> String {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let status = &self.status;
        let servers = self.cluster.as_ref().map_or(1, |one| one.servers.len());
        let leader = match status.leader {
            0 => "no leader".into(),
            leader => format!("leader {leader}"),
        };
        let dead = status.sessions.iter().filter(|one| one.dead).count();
        let sessions = count(status.sessions.len() - dead, "session");
        let dead = if dead > 0 {
            format!(" and {dead} dead")
        } else {
            String::new()
        };
        let (locks, waiting) = (status.locks, status.waiting);
        let events = self.events.rate(now_us, self.begun_us);
        let slots = self.graph.coverage.slots;
        let seen = match slots {
            SLOTS => "all is seen".into(),
            _ => format!("{slots} of {SLOTS} slots are seen"),
        };
        format!(
            "{} ({leader}), {sessions}{dead}, {locks} locks, {waiting} waiting, {events:.0} events/s, {seen}",
            count(servers, "server"),
        )
    }

    /// What is not as it should be, a line each.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.not_looked.clone());
        lines.extend(self.not_heard.clone());
        let heard = self.heard.iter().flat_map(Coverage::complaints);
        for complaint in self.graph.coverage.complaints().into_iter().chain(heard) {
            if !lines.contains(&complaint) {
                lines.push(complaint);
            }
        }
        if !self.graph.silent.is_empty() {
            let silent = self.graph.silent.join(", ");
            lines.push(format!("did not report their tasks in time: {silent}"));
        }
        if self.missed > 0 {
            let missed = self.missed;
            lines.push(format!("{missed} events came too fast and were missed"));
        }
        lines
    }

    /// The deadlocks.
    pub(super) fn cycles(&self) -> Vec<Cycle> {
        self.graph.rings().collect()
    }

    /// For how long the graph has been what it is.
    pub(super) fn since_look(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.looked_us.unwrap_or(now_us))
    }

    /// Resources to which something happens, in the order that is asked for.
    pub(super) fn hot(&self, now_us: u64) -> Vec<(Object, Rates)> {
        let rates = self.resources.rates(now_us);
        let busy = |rates: &Rates| *rates != Rates::default();
        let mut rows: Vec<(&Object, Rates)> = rates
            .filter(|(object, rates)| busy(rates) && self.is_wanted(object))
            .collect();
        let sort = self.view.sort;
        rows.sort_by(|a, b| by(sort, a, b));
        rows.into_iter()
            .map(|(object, rates)| (object.clone(), rates))
            .collect()
    }

    /// Whoever waits, the longest first.
    pub(super) fn waiters(&self, now_us: u64) -> Vec<Waiter> {
        let age = self.since_look(now_us);
        let mut waiters: BTreeMap<(&Task, &Object), Waiter> = BTreeMap::new();
        for (at, edge) in self.graph.edges.iter().enumerate() {
            if !self.is_wanted(&edge.object) {
                continue;
            }
            let in_cycle = self.graph.in_cycle(at);
            waiters
                .entry((&edge.waiter, &edge.object))
                .and_modify(|waiter| {
                    waiter.more += 1;
                    waiter.in_cycle |= in_cycle;
                })
                .or_insert_with(|| waiter(edge, age, in_cycle));
        }
        let mut waiters: Vec<Waiter> = waiters.into_values().collect();
        waiters.sort_by_key(|waiter| std::cmp::Reverse(waiter.waited_us));
        waiters
    }

    /// What nodes cache.
    pub(super) fn nodes(&self) -> Vec<NodeRow> {
        self.nodes.rows()
    }

    /// A resource with its queues, as the last look had it.
    pub(super) fn resource(&self, object: &Object) -> Option<&Resource> {
        let mut resources = self.graph.resources.iter();
        resources.find(|resource| resource.object == *object)
    }

    /// Where the time of a resource went.
    pub(super) fn shares(&self, object: &Object, now_us: u64) -> Option<Shares> {
        self.resources.shares(object, now_us)
    }

    /// And how often something happens to it.
    pub(super) fn rates(&self, object: &Object, now_us: u64) -> Rates {
        let mut all = self.resources.rates(now_us);
        all.find(|(each, _)| *each == object)
            .map(|(_, rates)| rates)
            .unwrap_or_default()
    }

    /// By the filter: a pattern, or any part of a name where it has neither star nor question mark.
    fn is_wanted(&self, object: &Object) -> bool {
        let filter = self.view.filter();
        if filter.is_empty() {
            return true;
        }
        if filter.contains(['*', '?']) {
            return fits_object(filter, object);
        }
        fits_object(&format!("*{filter}*"), object)
    }
}

fn waiter(edge: &Edge, age_us: u64, in_cycle: bool) -> Waiter {
    Waiter {
        task: edge.waiter.clone(),
        object: edge.object.clone(),
        wants: edge.wants,
        waited_us: edge.waited_us + age_us,
        behind: edge.holder.clone(),
        holds: edge.holds,
        more: 0,
        in_cycle,
    }
}

/// The busiest first; where two are the same, by their names.
fn by(sort: Sort, a: &(&Object, Rates), b: &(&Object, Rates)) -> Ordering {
    let key = |rates: &Rates| match sort {
        Sort::Grants => rates.grants,
        Sort::Waits => rates.waits,
        Sort::Callbacks => rates.callbacks,
        Sort::Demotions => rates.demotions,
        Sort::Name => 0.0,
    };
    key(&b.1).total_cmp(&key(&a.1)).then_with(|| a.0.cmp(b.0))
}
