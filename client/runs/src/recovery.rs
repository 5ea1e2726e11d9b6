//! How long nodes did nothing after something was done to the cluster.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::node::NodeRun;
use crate::timeline::{Quiet, quiet};
use crate::trouble::{Member, Trouble};

/// What one node did after one event that hurts, to the length of an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Which of the run's events.
    pub event: usize,
    /// The node's name.
    pub node: String,
    /// Whether the event was aimed at this node.
    pub touched: bool,
    /// The longest time without an operation that the node had between this event and the next that hurts, in
    /// microseconds; it may end later. 0: there was an operation in every interval.
    pub pause_us: u64,
    /// From the event to the first operation after that time; `None`: there was no more.
    pub back_us: Option<u64>,
    /// From when the event was undone to that operation, where it was undone before.
    pub back_after_undone_us: Option<u64>,
}

/// Of each event that hurts and each node; the events are in the order of time.
pub(crate) fn recoveries(
    events: &[Event],
    troubles: &[Trouble],
    nodes: &[NodeRun],
    interval_us: u64,
    elapsed_us: u64,
) -> Vec<Recovery> {
    let quiets: Vec<Vec<Quiet>> = nodes
        .iter()
        .map(|node| {
            quiet(
                &node.ops_per_interval,
                interval_us,
                end_us(node, elapsed_us),
            )
        })
        .collect();
    let mut hurts: Vec<usize> = troubles.iter().map(|one| one.event).collect();
    hurts.dedup();
    let mut found = Vec::new();
    for (number, &event) in hurts.iter().enumerate() {
        let next = hurts.get(number + 1);
        let until_us = next.map_or(u64::MAX, |&next| events[next].at_us);
        for (node, quiets) in nodes.iter().zip(&quiets) {
            let end_us = end_us(node, elapsed_us);
            let from_us = events[event].at_us;
            let pause = pause(quiets, from_us, until_us.max(from_us + 1));
            found.push(recovery(event, from_us, node, pause, end_us, troubles));
        }
    }
    found
}

/// A node that did not end well is missed to the end of the run.
fn end_us(node: &NodeRun, elapsed_us: u64) -> u64 {
    if node.ended_well() {
        node.to_us().min(elapsed_us)
    } else {
        elapsed_us
    }
}

/// The longest of the times, as much of each as comes after `from_us`.
fn pause(quiets: &[Quiet], from_us: u64, until_us: u64) -> Option<Quiet> {
    let after = quiets
        .iter()
        .filter(|one| one.to_us > from_us && one.from_us < until_us);
    let after = after.map(|one| Quiet {
        from_us: one.from_us.max(from_us),
        to_us: one.to_us,
    });
    after.max_by_key(|one| (one.to_us - one.from_us, std::cmp::Reverse(one.from_us)))
}

fn recovery(
    event: usize,
    at_us: u64,
    node: &NodeRun,
    pause: Option<Quiet>,
    end_us: u64,
    troubles: &[Trouble],
) -> Recovery {
    let member = Member::Node(node.name.clone());
    let own = |one: &&Trouble| one.event == event && one.member == member;
    let undone_us = troubles
        .iter()
        .filter(|one| one.event == event)
        .filter_map(|one| one.to_us)
        .max();
    let to_us = pause.map_or(at_us, |pause| pause.to_us);
    let came_back = pause.is_none() || to_us < end_us;
    Recovery {
        event,
        node: node.name.clone(),
        touched: troubles.iter().any(|one| own(&one)),
        pause_us: pause.map_or(0, |pause| pause.to_us - pause.from_us),
        back_us: came_back.then(|| to_us - at_us),
        back_after_undone_us: undone_us
            .filter(|&undone_us| came_back && undone_us < to_us)
            .map(|undone_us| to_us - undone_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::node::LifeRun;
    use crate::trouble::troubles;

    fn node(name: &str, ops: &str, lost: bool) -> NodeRun {
        let ops_per_interval: Vec<Option<u32>> =
            ops.chars().map(|each| each.to_digit(10)).collect();
        let to_us = ops_per_interval.len() as u64 * 100;
        NodeRun {
            name: name.into(),
            lives: vec![LifeRun {
                from_us: 0,
                to_us,
                lost: lost.then(|| "gone".into()),
            }],
            ops_per_interval,
            ..NodeRun::default()
        }
    }

    fn of(events: &[Event], nodes: &[NodeRun]) -> Vec<(String, bool, u64, Option<u64>)> {
        let found = recoveries(events, &troubles(events), nodes, 100, 1000);
        found
            .into_iter()
            .map(|one| (one.node, one.touched, one.pause_us, one.back_us))
            .collect()
    }

    #[test]
    fn a_node_is_back_after_its_longest_pause() {
        let events = [
            Event::of_node(150, EventKind::Cut, "a", ""),
            Event::of_node(500, EventKind::Heal, "a", ""),
        ];
        let nodes = [
            node("a", "5901-  -33", false),
            node("b", "1111101111", false),
        ];
        assert_eq!(
            of(&events, &nodes),
            [
                ("a".into(), true, 400, Some(650)),
                ("b".into(), false, 100, Some(450)),
            ],
            "the pause is not the first interval without an operation"
        );
        let found = recoveries(&events, &troubles(&events), &nodes, 100, 1000);
        assert_eq!(found[0].back_after_undone_us, Some(300));
    }

    #[test]
    fn who_does_nothing_more_is_not_back() {
        let events = [Event::of_server(200, EventKind::Kill, 1, "")];
        let nodes = [
            node("a", "1100000000", false),
            node("b", "11        ", true),
            node("c", "1111111111", false),
        ];
        assert_eq!(
            of(&events, &nodes),
            [
                ("a".into(), false, 800, None),
                ("b".into(), false, 800, None),
                ("c".into(), false, 0, Some(0)),
            ]
        );
    }

    #[test]
    fn each_event_has_its_own_pauses() {
        let events = [
            Event::of_server(100, EventKind::Restart, 1, ""),
            Event::of_server(500, EventKind::Restart, 2, ""),
        ];
        let nodes = [node("a", "1101100011", false)];
        let pauses: Vec<u64> = of(&events, &nodes).iter().map(|one| one.2).collect();
        assert_eq!(pauses, [100, 300]);
    }
}
