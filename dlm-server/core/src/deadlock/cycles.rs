//! Cycles in the wait-for graph.
//!
//! Tasks that all wait for each other, directly or not, form a strongly connected component; each
//! component with a cycle is one deadlock, and is shown as one cycle: a shortest one, and of those one
//! with as few "stands before it" edges as can be, since "holds" says more. Ties go to the smaller task:
//! the same graph always shows the same cycles.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use super::{Edge, Reason, Task};
use crate::ids::Owner;

/// From how many tasks of one deadlock the search for its shortest cycle starts; with more tasks in it
/// than these, the cycle shown is still one, and a shortest through one of these.
const STARTS_MAX: usize = 256;

/// One cycle for each deadlock among the edges that `usable` admits, in the order of the first tasks.
pub(super) fn cycles(edges: &[Edge], usable: impl Fn(&Edge) -> bool) -> Vec<Vec<usize>> {
    let graph = Adjacency::new(edges, usable);
    let mut cycles: Vec<Vec<usize>> = graph
        .components()
        .iter()
        .filter_map(|component| graph.shortest_cycle(component))
        .collect();
    cycles.sort_by_key(|cycle| cycle.first().map(|&edge| edges[edge].waiter));
    cycles
}

/// An edge with numbers for its ends.
#[derive(Clone, Copy)]
struct Arc {
    from: usize,
    to: usize,
    /// Its index among the edges.
    edge: usize,
    /// Whether it says "stands before it".
    queued: bool,
}

/// The graph by numbers; a task's number is its place in the order of tasks.
struct Adjacency {
    arcs_of: Vec<Vec<Arc>>,
}

impl Adjacency {
    fn new(edges: &[Edge], usable: impl Fn(&Edge) -> bool) -> Self {
        // A session as a whole that waits for itself says nothing: it may well be two tasks of it.
        let is_vague = |edge: &Edge| edge.waiter == edge.holder && edge.waiter.owner == Owner(0);
        let usable: Vec<(usize, &Edge)> = edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| usable(edge) && !is_vague(edge))
            .collect();
        let tasks: BTreeSet<Task> = usable
            .iter()
            .flat_map(|(_, edge)| [edge.waiter, edge.holder])
            .collect();
        let numbers: BTreeMap<Task, usize> = tasks.into_iter().zip(0..).collect();
        let mut arcs_of = vec![Vec::new(); numbers.len()];
        for (index, edge) in usable {
            let (from, to) = (numbers[&edge.waiter], numbers[&edge.holder]);
            let queued = edge.reason == Reason::Queued;
            arcs_of[from].push(Arc {
                from,
                to,
                edge: index,
                queued,
            });
        }
        Self { arcs_of }
    }

    /// The strongly connected components with at least one arc inside, each sorted. Tarjan's algorithm
    /// (1972), with a stack of its own: a graph may be deeper than the program's stack.
    fn components(&self) -> Vec<BTreeSet<usize>> {
        let mut search = Search::new(self.arcs_of.len());
        for root in 0..self.arcs_of.len() {
            if search.order[root].is_none() {
                search.visit(self, root);
            }
        }
        let mut components = search.components;
        components.retain(|component| component.iter().any(|&v| self.has_arc_within(v, component)));
        components
    }

    fn has_arc_within(&self, from: usize, component: &BTreeSet<usize>) -> bool {
        self.arcs_of[from]
            .iter()
            .any(|arc| component.contains(&arc.to))
    }

    /// A shortest cycle within the component.
    fn shortest_cycle(&self, component: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut best: Option<(usize, Vec<usize>)> = None;
        for &start in component.iter().take(STARTS_MAX) {
            let length_max = best
                .as_ref()
                .map_or(component.len(), |(_, cycle)| cycle.len());
            let Some((queued, cycle)) = self.shortest_cycle_from(start, component, length_max)
            else {
                continue;
            };
            let better = best
                .as_ref()
                .is_none_or(|(least, shortest)| (cycle.len(), queued) < (shortest.len(), *least));
            if better {
                best = Some((queued, cycle));
            }
        }
        best.map(|(_, cycle)| cycle)
    }

    /// A shortest cycle through `start` of at most `length_max` arcs, and how many of them are queued
    /// ones. Breadth first, a whole layer at a time, so that among the shortest ways to a task the one
    /// with the fewest queued arcs is known before the next layer is looked at.
    fn shortest_cycle_from(
        &self,
        start: usize,
        component: &BTreeSet<usize>,
        length_max: usize,
    ) -> Option<(usize, Vec<usize>)> {
        // By which arc each task was reached, and over how many queued ones.
        let mut reached: BTreeMap<usize, (usize, Arc)> = BTreeMap::new();
        let mut layer = vec![(start, 0)];
        for _ in 0..length_max {
            let mut next: BTreeMap<usize, (usize, Arc)> = BTreeMap::new();
            for &(task, queued) in &layer {
                for &arc in &self.arcs_of[task] {
                    let is_new = component.contains(&arc.to) && !reached.contains_key(&arc.to);
                    let queued = queued + usize::from(arc.queued);
                    if is_new && next.get(&arc.to).is_none_or(|(least, _)| queued < *least) {
                        next.insert(arc.to, (queued, arc));
                    }
                }
            }
            if let Some(&(queued, last)) = next.get(&start) {
                let mut cycle = vec![last.edge];
                let mut task = last.from;
                while task != start {
                    let (_, arc) = reached[&task];
                    cycle.push(arc.edge);
                    task = arc.from;
                }
                cycle.reverse();
                return Some((queued, cycle));
            }
            layer = next
                .iter()
                .map(|(&task, &(queued, _))| (task, queued))
                .collect();
            reached.append(&mut next);
        }
        None
    }
}

/// The state of Tarjan's search.
struct Search {
    visited: usize,
    /// When each task was first seen.
    order: Vec<Option<usize>>,
    /// The earliest task on the stack that can be reached from each.
    low: Vec<usize>,
    /// Tasks whose component is not complete.
    stack: Vec<usize>,
    on_stack: Vec<bool>,
    components: Vec<BTreeSet<usize>>,
}

impl Search {
    fn new(tasks: usize) -> Self {
        Self {
            visited: 0,
            order: vec![None; tasks],
            low: vec![0; tasks],
            stack: Vec::new(),
            on_stack: vec![false; tasks],
            components: Vec::new(),
        }
    }

    fn enter(&mut self, task: usize) {
        self.order[task] = Some(self.visited);
        self.low[task] = self.visited;
        self.visited += 1;
        self.stack.push(task);
        self.on_stack[task] = true;
    }

    fn visit(&mut self, graph: &Adjacency, root: usize) {
        self.enter(root);
        // Each task on the way down, with the number of its arcs that were followed.
        let mut path = vec![(root, 0)];
        while let Some((task, followed)) = path.last_mut() {
            let task = *task;
            if let Some(arc) = graph.arcs_of[task].get(*followed) {
                *followed += 1;
                match self.order[arc.to] {
                    None => {
                        self.enter(arc.to);
                        path.push((arc.to, 0));
                    }
                    Some(order) if self.on_stack[arc.to] => {
                        self.low[task] = self.low[task].min(order);
                    }
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                self.low[parent] = self.low[parent].min(self.low[task]);
            }
            if self.order[task] == Some(self.low[task]) {
                self.complete(task);
            }
        }
    }

    /// The component that was entered at `root` is complete.
    fn complete(&mut self, root: usize) {
        let mut component = BTreeSet::new();
        while let Some(task) = self.stack.pop() {
            self.on_stack[task] = false;
            component.insert(task);
            if task == root {
                break;
            }
        }
        self.components.push(component);
    }
}
