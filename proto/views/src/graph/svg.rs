//! The lock graph as a picture, for those who have no graphviz.

use std::collections::{BTreeMap, BTreeSet};

use layout::adt::dag::NodeHandle;
use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::Point;
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::words::time;
use super::{Edge, GraphSnapshot, Task};

mod canvas;

use canvas::Canvas;

/// So many waits are drawn, those of cycles first: a picture of more can neither be read nor laid out in
/// reasonable time.
pub const EDGES_MAX: usize = 60;

const TOP_DOWN: Orientation = Orientation::TopToBottom;

/// Colours, as `0xRRGGBBAA`.
const RED: u32 = 0xb0_1c_1c_ff;
const GREY: u32 = 0x55_55_55_ff;
const PALE_RED: u32 = 0xfd_ee_ee_ff;
const PALE: u32 = 0xf4_f4_f4_ff;
const NOTHING: u32 = 0xff_ff_ff_00;

/// An SVG document: tasks are boxes, a line goes from who waits over what it waits for to who is in the
/// way, and what is part of a cycle is red.
#[must_use]
pub fn render(snapshot: &GraphSnapshot) -> String {
    let in_cycle: BTreeSet<usize> = snapshot.cycles.iter().flatten().copied().collect();
    let others = (0..snapshot.edges.len()).filter(|edge| !in_cycle.contains(edge));
    let mut drawn: Vec<usize> = in_cycle.iter().copied().chain(others).collect();
    let left_out = drawn.len().saturating_sub(EDGES_MAX);
    drawn.truncate(EDGES_MAX);

    let mut canvas = Canvas::new(caption(snapshot, left_out));
    if !drawn.is_empty() {
        let mut picture = Picture::new(snapshot, &in_cycle);
        for edge in drawn {
            picture.edge(edge);
        }
        picture.graph.do_it(false, false, false, &mut canvas);
    }
    canvas.finish()
}

fn caption(snapshot: &GraphSnapshot, left_out: usize) -> String {
    let mut caption = match snapshot.cycles.len() {
        0 => String::from("no deadlock"),
        1 => String::from("1 deadlock"),
        many => format!("{many} deadlocks"),
    };
    if snapshot.edges.is_empty() {
        caption.push_str(", nobody waits");
    }
    if left_out > 0 {
        caption.push_str(&format!("; {left_out} waits are not drawn"));
    }
    caption
}

/// The picture while it is put together.
struct Picture<'a> {
    snapshot: &'a GraphSnapshot,
    in_cycle: &'a BTreeSet<usize>,
    red_tasks: BTreeSet<&'a Task>,
    tasks: BTreeMap<&'a Task, NodeHandle>,
    graph: VisualGraph,
}

impl<'a> Picture<'a> {
    fn new(snapshot: &'a GraphSnapshot, in_cycle: &'a BTreeSet<usize>) -> Self {
        let waiter = |&edge: &usize| &snapshot.edges[edge].waiter;
        Self {
            snapshot,
            in_cycle,
            red_tasks: in_cycle.iter().map(waiter).collect(),
            tasks: BTreeMap::new(),
            graph: VisualGraph::new(TOP_DOWN),
        }
    }

    fn task(&mut self, task: &'a Task) -> NodeHandle {
        if let Some(&there) = self.tasks.get(task) {
            return there;
        }
        let look = if self.red_tasks.contains(task) {
            look(RED, PALE_RED, 2)
        } else {
            look(GREY, PALE, 1)
        };
        let node = self.graph.add_node(boxed(&task.to_string(), look));
        self.tasks.insert(task, node);
        node
    }

    /// A wait is a box without a border between the two tasks, so that the layout keeps room for its
    /// text, and so that two waits of the same task for the same other one stay apart.
    fn edge(&mut self, index: usize) {
        let edge = &self.snapshot.edges[index];
        let red = self.in_cycle.contains(&index);
        let (color, width) = if red { (RED, 2) } else { (GREY, 1) };
        let waiter = self.task(&edge.waiter);
        let label = boxed(&label(edge), look(color, NOTHING, 0));
        let label = self.graph.add_node(label);
        let holder = self.task(&edge.holder);
        let line = |end| {
            let look = look(color, NOTHING, width);
            let style = LineStyleKind::Normal;
            Arrow::new(LineEndKind::None, end, style, "", &look, &None, &None)
        };
        self.graph.add_edge(line(LineEndKind::None), waiter, label);
        self.graph.add_edge(line(LineEndKind::Arrow), label, holder);
    }
}

fn label(edge: &Edge) -> String {
    let object = &edge.object;
    let (wants, waited) = (object.mode(edge.wants), time(edge.waited_us));
    format!("{object}\nwants {wants}, {waited}\n{}", edge.obstacle())
}

fn look(color: u32, fill: u32, line_width: usize) -> StyleAttr {
    let fill = Some(Color::new(fill));
    StyleAttr::new(Color::new(color), line_width, fill, 6, canvas::FONT_SIZE)
}

fn boxed(text: &str, look: StyleAttr) -> Element {
    let columns = text.lines().map(|line| line.chars().count()).max();
    let size = Point::new(
        columns.unwrap_or(0) as f64 * canvas::COLUMN_WIDTH + 16.,
        text.lines().count() as f64 * canvas::LINE_HEIGHT + 12.,
    );
    Element::create(ShapeKind::new_box(text), look, TOP_DOWN, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::examples;

    /// The layout turns some lines around: their arrows are at the start.
    fn arrows(svg: &str) -> usize {
        svg.matches("marker-end").count() + svg.matches("marker-start").count()
    }

    #[test]
    fn tasks_are_boxes_and_cycles_are_red() {
        let svg = render(&examples::cross());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for text in [
            "node1/dio 3",
            "volume inode 0x102ab",
            "held in EX, pin of 3 pages",
            "1 deadlock",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert_eq!(
            svg.matches("stroke=\"#b01c1c\"").count(),
            2 + 2 * 2,
            "boxes and lines"
        );
        assert_eq!(svg.matches("stroke=\"#555555\"").count(), 1 + 2);
        assert_eq!(arrows(&svg), 3, "one for each wait");
    }

    #[test]
    fn the_same_graph_is_the_same_picture() {
        assert_eq!(render(&examples::cross()), render(&examples::cross()));
    }

    #[test]
    fn nothing_to_draw_is_a_picture_too() {
        assert!(render(&GraphSnapshot::default()).contains("no deadlock, nobody waits"));
    }

    #[test]
    fn names_cannot_break_out_of_the_document() {
        let mut snapshot = examples::cross();
        snapshot.edges[0].waiter.name = "<script>&\"".into();
        let svg = render(&snapshot);
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;&amp;&quot;"));
    }

    /// The layout comes from elsewhere and asserts much: it must take whatever graph there is.
    #[test]
    fn any_graph_can_be_drawn() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for round in 0..200 {
            let tasks = 1 + random(8);
            let edges = (0..random(24)).map(|_| {
                let task = |number| examples::task(number % 3, number);
                let (waiter, holder) = (task(random(tasks)), task(random(tasks)));
                examples::edge(waiter, holder, random(3))
            });
            let snapshot = GraphSnapshot {
                edges: edges.collect(),
                ..GraphSnapshot::default()
            };
            let svg = render(&snapshot);
            assert_eq!(arrows(&svg), snapshot.edges.len(), "round {round}");
        }
    }

    #[test]
    fn a_large_graph_says_what_it_leaves_out() {
        let mut snapshot = examples::cross();
        for number in 0..EDGES_MAX as u64 {
            let edge = examples::edge(examples::task(7, number), examples::task(8, 1), 9);
            snapshot.edges.push(edge);
        }
        let svg = render(&snapshot);
        assert!(svg.contains("1 deadlock; 3 waits are not drawn"));
        assert!(svg.contains("node1/dio 3"), "the cycle is drawn");
    }
}
