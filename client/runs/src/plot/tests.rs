//! That pictures are XML and have the marks that they ought to have; how they look has to be looked at: they are put
//! into the directory that GLOCKWORK_PICTURES names.

use glockwork_proto::node::Policy;
use roxmltree::Document;

use super::*;
use crate::event::{Event, EventKind};
use crate::sample::{self, SECOND};
use crate::seen::Seen;

/// The texts of a picture, and how many elements of each name it has.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    let texts = texts.filter_map(|node| node.text());
    texts.map(|text| text.trim().to_owned()).collect()
}

fn count(svg: &str, element: &str, color: &str) -> usize {
    let document = Document::parse(svg).unwrap();
    let of_color = |node: &roxmltree::Node<'_, '_>| {
        node.attribute("stroke") == Some(color) || node.attribute("fill") == Some(color)
    };
    let found = document.descendants();
    found
        .filter(|node| node.has_tag_name(element) && of_color(node))
        .count()
}

fn has(texts: &[String], wanted: &str) -> bool {
    texts.iter().any(|text| text == wanted)
}

#[test]
fn operations_over_time_have_rows_gaps_and_events() {
    let pictures = run(&sample::cut());
    put("cut", &pictures);
    let [ops, ..] = pictures;
    let texts = texts(&ops.svg);
    for wanted in [
        "node1",
        "node2",
        "node3",
        "cut node2",
        "heal node2",
        "node2 lost its session",
        "seconds from the start",
        "30",
    ] {
        assert!(has(&texts, wanted), "{wanted} is not in {texts:?}");
    }
    assert_eq!(
        count(&ops.svg, "polyline", "#D55E00"),
        4,
        "the line of what hurt: at its label, and in each row"
    );
    assert_eq!(
        count(&ops.svg, "polygon", "#D55E00"),
        1,
        "from when to when node2 was cut off"
    );
    assert_eq!(
        count(&ops.svg, "polyline", "#008764"),
        10,
        "two lines of what mended, two pieces of node2's line"
    );
    assert!(
        count(&ops.svg, "polygon", "#EEEEEE") >= 1,
        "node2 did not run for a while"
    );
}

#[test]
fn latencies_have_a_curve_for_each_and_one_for_all() {
    let [_, latency, _] = run(&sample::cut());
    let texts = texts(&latency.svg);
    for wanted in [
        "node1",
        "node2",
        "all nodes",
        "50 %",
        "99.9 %",
        "1 ms",
        "100 ms",
    ] {
        assert!(has(&texts, wanted), "{wanted} is not in {texts:?}");
    }
    assert_eq!(
        count(&latency.svg, "polyline", "#0072B2"),
        2,
        "a curve and its mark"
    );
}

#[test]
fn a_comparison_has_a_row_for_each_policy() {
    let pictures = comparison(&sample::policies());
    put("policies", &pictures);
    let names: Vec<&str> = pictures.iter().map(|picture| picture.name).collect();
    assert_eq!(names, Picture::NAMES);
    for picture in &pictures {
        let texts = texts(&picture.svg);
        for policy in Policy::ALL {
            assert!(has(&texts, policy.name()), "{} in {}", policy, picture.name);
        }
    }
    let ops = texts(&pictures[0].svg);
    assert!(has(&ops, "kill server 1"), "{ops:?}");
    assert!(has(&ops, "ended by a deadlock at 1.3 s"), "{ops:?}");
}

/// The most there can be, and nothing at all.
#[test]
fn the_largest_and_the_emptiest_run_are_drawn() {
    let mut large = sample::seen(Policy::TryCycle, 16, 60);
    large.events = (0..60)
        .map(|at| Event::of_server(at * SECOND, EventKind::Restart, at % 3 + 1, "a <b> & c"))
        .collect();
    let large = Run::of(large);
    let [ops, ..] = run(&large);
    let texts = texts(&ops.svg);
    assert!(
        texts.iter().any(|text| text.ends_with("without a label")),
        "{texts:?}"
    );
    assert!(ops.svg.len() < 1 << 20, "{} bytes", ops.svg.len());
    let empty = Run::of(Seen {
        nodes: Vec::new(),
        elapsed_us: 0,
        ..sample::seen(Policy::Ordered, 1, 1)
    });
    for picture in run(&empty)
        .iter()
        .chain(&comparison(&[empty]))
        .chain(&comparison(&[]))
    {
        self::texts(&picture.svg);
    }
    put("large", &run(&large));
}

/// Those that are to be looked at.
fn put(name: &str, pictures: &[Picture]) {
    if let Ok(dir) = std::env::var("GLOCKWORK_PICTURES") {
        for picture in pictures {
            std::fs::write(format!("{dir}/{name}-{}", picture.name), &picture.svg).unwrap();
        }
    }
}
