//! From when to when something was done to whom.

use std::fmt;

use crate::event::{Event, EventKind};

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// A filesystem node, by its name.
    Node(String),
    /// A lock server, by its number.
    Server(u64),
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => f.pad(name),
            Self::Server(number) => f.pad(&format!("server {number}")),
        }
    }
}

/// Something that was done to one member, until it was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which of the events did it.
    pub event: usize,
    /// What it was.
    pub kind: EventKind,
    /// To whom.
    pub member: Member,
    /// From when, in microseconds from the run's start.
    pub from_us: u64,
    /// Until when; `None`: to the end.
    pub to_us: Option<u64>,
}

/// What was done to the members by events, which are in the order of time. What undoes something undoes it for those
/// that it is about, and for all where it is about nobody in particular.
#[must_use]
pub fn troubles(events: &[Event]) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let undone = undo(&mut troubles, event);
        if !event.kind.hurts() {
            continue;
        }
        for member in members(event) {
            if undone.contains(&member) {
                continue;
            }
            // A restart is over when it is done.
            let over = event.kind == EventKind::Restart;
            troubles.push(Trouble {
                event: number,
                kind: event.kind,
                member,
                from_us: event.at_us,
                to_us: over.then_some(event.at_us),
            });
        }
    }
    troubles
}

/// Those for whom something came to its end.
fn undo(troubles: &mut [Trouble], event: &Event) -> Vec<Member> {
    let about: Vec<Member> = members(event).collect();
    let mut undone = Vec::new();
    for trouble in troubles {
        let meant = about.is_empty() || about.contains(&trouble.member);
        if meant && trouble.to_us.is_none() && event.kind.undoes().contains(&trouble.kind) {
            trouble.to_us = Some(event.at_us);
            undone.push(trouble.member.clone());
        }
    }
    undone
}

fn members(event: &Event) -> impl Iterator<Item = Member> {
    let nodes = event.nodes.iter().cloned().map(Member::Node);
    nodes.chain(event.servers.iter().copied().map(Member::Server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_ends_when_it_is_undone() {
        let events = [
            Event::of_node(1, EventKind::Cut, "a", ""),
            Event::of_server(2, EventKind::Kill, 1, ""),
            Event::of_node(3, EventKind::StallStore, "b", ""),
            Event::of_node(4, EventKind::Heal, "b", ""),
            Event::of_all(5, EventKind::Heal, ""),
            Event::of_server(6, EventKind::Restart, 1, ""),
            Event::of_server(7, EventKind::Restart, 1, ""),
            Event::of_node(8, EventKind::LostSession, "a", ""),
        ];
        let found: Vec<(usize, u64, Option<u64>)> = troubles(&events)
            .iter()
            .map(|one| (one.event, one.from_us, one.to_us))
            .collect();
        assert_eq!(
            found,
            [
                (0, 1, Some(5)),
                (1, 2, Some(6)),
                (2, 3, None),
                (6, 7, Some(7))
            ],
            "a heal does not release a store; the first restart ends a kill, the second is trouble itself"
        );
    }
}
