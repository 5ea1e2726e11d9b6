//! The lock graph for people.

use std::fmt::{self, Write};

use dlm_core::deadlock::Queue;

use super::words::{role, time};
use super::{Cycle, GraphSnapshot, Holder, Lock, Resource};

/// So many resources that nobody waits for are listed; of more only the number is told, since it is the
/// others that one looks for.
pub const IDLE_RESOURCES_MAX: usize = 20;

/// Every resource with its queues and the tasks behind them, then the deadlocks.
#[must_use]
pub fn render(snapshot: &GraphSnapshot) -> String {
    let mut text = String::new();
    write_snapshot(&mut text, snapshot).expect("writing to a string");
    text
}

/// The edges of one cycle, a line each.
#[must_use]
pub fn cycle(snapshot: &GraphSnapshot, cycle: usize) -> Vec<String> {
    snapshot.cycle(cycle).map(ToString::to_string).collect()
}

/// A deadlock by itself: how many tasks it has, then a line for each edge.
#[must_use]
pub fn ring(cycle: &Cycle) -> String {
    let count = cycle.edges.len();
    let tasks = if count == 1 { "task" } else { "tasks" };
    let mut text = format!("DEADLOCK of {count} {tasks}:\n");
    for edge in &cycle.edges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {edge}");
    }
    text
}

fn write_snapshot(text: &mut String, snapshot: &GraphSnapshot) -> fmt::Result {
    let idle = |resource: &&Resource| !resource.is_contended();
    let idle_count = snapshot.resources.iter().filter(idle).count();
    let shown = |resource: &&Resource| idle_count <= IDLE_RESOURCES_MAX || !idle(resource);
    for resource in snapshot.resources.iter().filter(shown) {
        write_resource(text, resource)?;
    }
    if idle_count > IDLE_RESOURCES_MAX {
        writeln!(
            text,
            "{idle_count} resources that nobody waits for (JSON has them all)"
        )?;
    }
    if snapshot.resources.is_empty() {
        writeln!(text, "no locks")?;
    }
    if !snapshot.silent.is_empty() {
        let silent = snapshot.silent.join(", ");
        writeln!(text, "\ndid not report their tasks in time: {silent}")?;
    }
    writeln!(text)?;
    for cycle in snapshot.rings() {
        text.push_str(&ring(&cycle));
    }
    if snapshot.cycles.is_empty() {
        writeln!(text, "no deadlock")?;
    }
    Ok(())
}

fn write_resource(text: &mut String, resource: &Resource) -> fmt::Result {
    writeln!(text, "{}", resource.object)?;
    for lock in &resource.locks {
        write_lock(text, resource, lock)?;
        for holder in &lock.holders {
            write_holder(text, resource, holder)?;
        }
    }
    Ok(())
}

fn write_lock(text: &mut String, resource: &Resource, lock: &Lock) -> fmt::Result {
    let word = |mode| resource.object.mode(mode);
    let (queue, modes) = match (lock.queue, lock.granted, lock.requested) {
        (Queue::Granted, Some(granted), _) => ("granted", word(granted)),
        (Queue::Converting, Some(granted), Some(wanted)) => (
            "converting",
            format!("{} -> {}", word(granted), word(wanted)),
        ),
        (Queue::Waiting, _, Some(wanted)) => ("waiting", word(wanted)),
        (Queue::Granted, ..) => ("granted", String::new()),
        (Queue::Converting, ..) => ("converting", String::new()),
        (Queue::Waiting, ..) => ("waiting", String::new()),
    };
    let (name, age) = (&lock.session_name, time(lock.age_us));
    writeln!(text, "  {queue:10}  {name:16}  {modes:20}  {age:>7}")
}

fn write_holder(text: &mut String, resource: &Resource, holder: &Holder) -> fmt::Result {
    let verb = if holder.granted { "holds" } else { "waits for" };
    let mode = format!("{verb} {}", resource.object.mode(holder.mode));
    let (task, age) = (&holder.task, time(holder.age_us));
    let role = role(holder.role, holder.pins);
    writeln!(text, "              {task:16}  {mode:20}  {age:>7}  {role}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::examples;

    #[test]
    fn people_see_the_queues_the_tasks_behind_them_and_the_deadlock() {
        let expected = "\
volume inode 0x102ab
  granted     node2             CW (DF)                 1.2 s
              dio 4             holds CW (DF)           1.3 s  operation
  converting  node1             NL (UN) -> PR (SH)      1.2 s
              dio 3             waits for PR (SH)       1.3 s  fault
volume inode 0x2
  granted     node1             EX                      1.2 s
              dio 3             holds EX                1.3 s  pin of 3 pages
  waiting     node2             EX                      1.2 s
volume \"nightly\"
  granted     node9             PW                      1.2 s

DEADLOCK of 2 tasks:
  node1/dio 3 waits for PR (SH) of volume inode 0x102ab since 1.2 s, held by node2/dio 4 in CW (DF), operation
  node2/dio 4 waits for EX of volume inode 0x2 since 1.2 s, held by node1/dio 3 in EX, pin of 3 pages
";
        assert_eq!(render(&examples::cross()), expected);
    }

    #[test]
    fn what_nobody_waits_for_is_only_counted_when_there_is_much_of_it() {
        let mut snapshot = examples::cross();
        let idle = snapshot.resources.pop().unwrap();
        let many = std::iter::repeat_n(idle, IDLE_RESOURCES_MAX + 1);
        snapshot.resources.extend(many);
        snapshot.silent.push("node7".into());
        let text = render(&snapshot);
        assert!(
            text.contains("21 resources that nobody waits for"),
            "{text}"
        );
        assert!(
            text.contains("inode 0x102ab") && !text.contains("nightly"),
            "{text}"
        );
        assert!(text.contains("in time: node7\n"), "{text}");
    }

    #[test]
    fn nothing_is_said_as_such() {
        let text = render(&GraphSnapshot::default());
        assert_eq!(text, "no locks\n\nno deadlock\n");
    }

    #[test]
    fn a_place_in_the_queue_is_told_from_a_lock() {
        let line = examples::cross().edges[2].to_string();
        assert!(
            line.ends_with("queued behind node2/dio 4, which wants EX"),
            "{line}"
        );
    }
}
