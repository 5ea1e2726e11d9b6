//! The lock graph for graphviz.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use super::words::time;
use super::{GraphSnapshot, Task};

/// A `digraph`: tasks are boxes, an arrow points from who waits to who is in the way, and what is part
/// of a cycle is red.
#[must_use]
pub fn render(snapshot: &GraphSnapshot) -> String {
    let mut text = String::new();
    write_graph(&mut text, snapshot).expect("writing to a string");
    text
}

fn write_graph(text: &mut String, snapshot: &GraphSnapshot) -> fmt::Result {
    writeln!(text, "digraph locks {{")?;
    writeln!(text, "  node [shape=box, fontname=monospace];")?;
    writeln!(text, "  edge [fontname=monospace, fontsize=10];")?;
    let both = |edge: usize| [&snapshot.edges[edge].waiter, &snapshot.edges[edge].holder];
    let tasks: BTreeSet<_> = (0..snapshot.edges.len()).flat_map(both).collect();
    let red: BTreeSet<_> = snapshot
        .cycles
        .iter()
        .flatten()
        .copied()
        .flat_map(both)
        .collect();
    for task in tasks {
        let color = if red.contains(task) {
            ", color=red"
        } else {
            ""
        };
        writeln!(
            text,
            "  {} [label={}{color}];",
            id(task),
            quoted(&task.to_string())
        )?;
    }
    for (index, edge) in snapshot.edges.iter().enumerate() {
        let color = if snapshot.in_cycle(index) {
            ", color=red, fontcolor=red, penwidth=2"
        } else {
            ""
        };
        let (object, waited) = (&edge.object, time(edge.waited_us));
        let label = format!(
            "{object}\nwants {}, {waited}\n{}",
            object.mode(edge.wants),
            edge.obstacle()
        );
        let (from, to, label) = (id(&edge.waiter), id(&edge.holder), quoted(&label));
        writeln!(text, "  {from} -> {to} [label={label}{color}];")?;
    }
    writeln!(text, "}}")
}

fn id(task: &Task) -> String {
    format!("s{}_t{}", task.session, task.owner)
}

/// A quoted string as graphviz reads it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::examples;

    #[test]
    fn cycles_are_red_and_the_rest_is_not() {
        let text = render(&examples::cross());
        let lines: Vec<_> = text.lines().filter(|line| line.contains("->")).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("  s1_t3 -> s2_t4 "), "{text}");
        let red: Vec<_> = lines
            .iter()
            .map(|line| line.contains("color=red"))
            .collect();
        assert_eq!(red, [true, true, false]);
        assert!(text.contains("s5_t1 [label=\"node5/dio 1\"];"), "{text}");
        assert!(
            text.contains("s1_t3 [label=\"node1/dio 3\", color=red];"),
            "{text}"
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let mut snapshot = examples::cross();
        snapshot.edges[0].waiter.name = "a\"];\nx -> y \\".into();
        let text = render(&snapshot);
        assert!(
            text.contains(r#"[label="node1/a\"];\nx -> y \\""#),
            "{text}"
        );
    }
}
