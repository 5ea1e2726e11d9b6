//! What explains that a node lost something: what was done to it, and the loss of most servers.

use std::cmp::Reverse;

use crate::event::{Event, EventKind};
use crate::run::Run;
use crate::trouble::{Member, Trouble};

/// What was done in a run, and to whom.
pub(super) struct Excuses<'r> {
    run: &'r Run,
    troubles: Vec<Trouble>,
}

/// When a session ended at the earliest, and when that was seen.
type Lost = (u64, u64);

impl<'r> Excuses<'r> {
    pub(super) fn of(run: &'r Run) -> Self {
        let troubles = run.troubles();
        Self { run, troubles }
    }

    /// Whether an event touched the node, or a loss of servers its session.
    pub(super) fn is_hurt(&self, node: &str) -> bool {
        let mut losses = self.run.events.iter().filter(|event| is_loss(event, node));
        self.done_to(node).next().is_some()
            || losses.any(|event| self.had_no_servers(self.when_lost(node, event.at_us)))
    }

    /// Whether what was done explains that the node's session was seen to be over at that time.
    pub(super) fn explains(&self, node: &str, seen_us: u64) -> bool {
        let lost = self.when_lost(node, seen_us);
        let mut done = self.done_to(node).filter(|one| ends_sessions(one.kind));
        done.any(|one| self.reaches(one.from_us, one.to_us, lost)) || self.had_no_servers(lost)
    }

    /// When a session ended that was seen to be over at that time: not before the node was last heard of. It may be
    /// seen only when the node is back with another one.
    fn when_lost(&self, node: &str, seen_us: u64) -> Lost {
        let nodes = self.run.nodes.iter().filter(|one| one.name == node);
        let lives = nodes.flat_map(|one| &one.lives);
        let lost = lives.filter(|life| life.lost.is_some() && life.to_us <= seen_us);
        let heard_us = lost.map(|life| life.to_us).max();
        (heard_us.unwrap_or(seen_us), seen_us)
    }

    /// Whether what was done to the node, and not undone, keeps it from coming back.
    pub(super) fn keeps_away(&self, node: &str) -> bool {
        let mut done = self.done_to(node);
        done.any(|one| one.to_us.is_none() && ends_sessions(one.kind))
    }

    fn done_to<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Trouble> {
        let is_it = move |member: &Member| matches!(member, Member::Node(name) if name == node);
        self.troubles.iter().filter(move |one| is_it(&one.member))
    }

    /// Whether what went on from one time to another explains a loss.
    fn reaches(&self, from_us: u64, to_us: Option<u64>, (heard_us, seen_us): Lost) -> bool {
        let aftermath_us = self.run.config.bounds.aftermath_us;
        let over_us = to_us.map_or(u64::MAX, |to_us| to_us.saturating_add(aftermath_us));
        from_us <= seen_us && heard_us <= over_us
    }

    /// Whether there was no majority of servers then, or not long before.
    fn had_no_servers(&self, lost: Lost) -> bool {
        let down: Vec<&Trouble> = self.troubles.iter().filter(|one| is_down(one)).collect();
        // Their number grows only when another one goes.
        let mut times = down.iter().map(|last| last.from_us);
        times.any(|from_us| {
            let most_away = self.most_away(&down, from_us);
            most_away.is_some_and(|to_us| self.reaches(from_us, to_us, lost))
        })
    }

    /// Where at that time there is no majority: until when; `Some(None)`: to the end.
    fn most_away(&self, down: &[&Trouble], at_us: u64) -> Option<Option<u64>> {
        let is_away =
            |one: &&&Trouble| one.from_us <= at_us && one.to_us.is_none_or(|to_us| to_us >= at_us);
        let ends = down.iter().filter(is_away);
        let ends = ends.map(|one| (&one.member, one.to_us.unwrap_or(u64::MAX)));
        let mut ends: Vec<(&Member, u64)> = ends.collect();
        // Of each member the last.
        ends.sort_by_key(|&(member, to_us)| (member, Reverse(to_us)));
        ends.dedup_by_key(|(member, _)| *member);
        ends.sort_by_key(|&(_, to_us)| Reverse(to_us));
        // Of three servers two, of four two: when that many are away the others are no majority.
        let many = self.run.config.servers.div_ceil(2).max(1);
        let (_, to_us) = ends.get(many - 1)?;
        Some(Some(*to_us).filter(|&to_us| to_us < u64::MAX))
    }
}

fn is_loss(event: &Event, node: &str) -> bool {
    event.kind == EventKind::LostSession && event.nodes.iter().any(|name| name == node)
}

/// Whether it may end a node's session. What only makes it slow must not.
const fn ends_sessions(kind: EventKind) -> bool {
    kind.hurts() && !matches!(kind, EventKind::Slow | EventKind::SlowStore)
}

fn is_down(trouble: &Trouble) -> bool {
    matches!(trouble.member, Member::Server(_)) && ends_sessions(trouble.kind)
}
