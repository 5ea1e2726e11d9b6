//! The model and its screen, without a terminal.

use dlm_client::events::EventKind;
use dlm_client::graph::GraphSnapshot;
use dlm_client::inspect::{Missed, News};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::examples::{deadlock, event, heard, inode, looked, whole};
use super::model::{Feed, Model};
use super::view::{Key, Sort};
use super::{draw, frame};

const SECOND: u64 = 1_000_000;

/// A model that has looked for four seconds: resource 1 is granted most often, 2 is called back most often.
fn model(graph: GraphSnapshot) -> (Model, u64) {
    let mut model = Model::new(SECOND);
    for second in 1..=4 {
        let now = second * SECOND + SECOND / 2;
        let mut events = Vec::new();
        for _ in 0..20 {
            events.push(event(EventKind::Granted, 1, 1));
        }
        for _ in 0..10 {
            events.push(event(EventKind::Granted, 2, 2));
            events.push(event(EventKind::Callback, 2, 2));
        }
        events.push(event(EventKind::Waits, 2, 3));
        model.learn(now, heard(events));
        model.learn(now, looked(graph.clone(), 1000 * second));
    }
    (model, 5 * SECOND)
}

fn drawn(model: &Model, now_us: u64) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(110, 36)).expect("a screen");
    let drawn = terminal.draw(|to| {
        let area = to.area();
        draw::screen(model, now_us, area, to.buffer_mut());
    });
    drawn.expect("it can be drawn").buffer.clone()
}

fn shown(model: &Model, now_us: u64) -> String {
    frame::text(&drawn(model, now_us))
}

fn press(model: &mut Model, now_us: u64, keys: &str) {
    for each in keys.chars() {
        model.press(now_us, Key::Character(each));
    }
}

fn names(model: &Model, now_us: u64) -> Vec<String> {
    let rows = model.hot(now_us).into_iter();
    rows.map(|(object, _)| object.resource()).collect()
}

#[test]
fn a_deadlock_is_red_and_on_top() {
    let (model, now) = model(deadlock());
    let frame = drawn(&model, now);
    let text = frame::text(&frame);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("dlm top  1 server (leader 1), 3 sessions, 5 locks, 3 waiting, "),
        "{text}"
    );
    assert!(lines[0].ends_with(" events/s, all is seen"), "{text}");
    assert_eq!(lines[1], "DEADLOCK of 2 tasks:");
    assert!(
        lines[2].contains("node1/task0 waits for EX of volume inode 0x2"),
        "{text}"
    );
    assert_eq!(frame[(2, 1)].fg, Color::Red);
    assert_eq!(frame[(4, 2)].fg, Color::Red);
    assert!(
        text.contains("Hottest resources (3)") && text.contains("Longest waiters (3)"),
        "{text}"
    );

    // When it is gone there is nothing red.
    let mut model = model;
    let graph = GraphSnapshot {
        coverage: whole(),
        ..GraphSnapshot::default()
    };
    model.learn(now, looked(graph, 5000));
    let frame = drawn(&model, now);
    assert!(!frame::text(&frame).contains("DEADLOCK"));
    assert!(frame.content().iter().all(|cell| cell.fg != Color::Red));
}

#[test]
fn the_busiest_come_first_by_what_is_asked_for() {
    let (mut model, now) = model(deadlock());
    assert_eq!(names(&model, now), ["inode 0x1", "inode 0x2", "inode 0x3"]);
    press(&mut model, now, "c");
    assert_eq!(names(&model, now), ["inode 0x2", "inode 0x1", "inode 0x3"]);
    press(&mut model, now, "w");
    assert_eq!(names(&model, now)[0], "inode 0x3");
    press(&mut model, now, "n");
    assert_eq!(model.view.sort, Sort::Name);
    assert_eq!(names(&model, now)[0], "inode 0x1");
    let rates = model.rates(&inode(1), now);
    assert!((15.0..25.0).contains(&rates.grants), "{rates:?}");
    // What nothing happens to is not hot.
    assert_eq!(names(&model, now + 60 * SECOND), [""; 0]);
}

#[test]
fn whoever_waits_longest_comes_first_and_waits_on() {
    let (model, now) = model(deadlock());
    let waiters = model.waiters(now);
    let who: Vec<String> = waiters.iter().map(|one| one.task.to_string()).collect();
    assert_eq!(who, ["node1/task0", "node2/task0", "node3/task0"]);
    assert!(waiters[0].in_cycle && waiters[1].in_cycle && !waiters[2].in_cycle);
    assert_eq!(waiters[0].waited_us, 9 * SECOND + SECOND / 2);
    assert_eq!(
        model.waiters(now + SECOND)[0].waited_us,
        10 * SECOND + SECOND / 2
    );
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let (mut model, now) = model(deadlock());
    press(&mut model, now, "/0x2");
    assert!(shown(&model, now).contains("/0x2_"));
    assert_eq!(names(&model, now), ["inode 0x2"]);
    assert_eq!(model.waiters(now).len(), 1);
    model.press(now, Key::Escape);
    assert_eq!(names(&model, now).len(), 3);
    press(&mut model, now, "/2/?q");
    model.press(now, Key::Backspace);
    model.press(now, Key::Enter);
    assert_eq!(names(&model, now).len(), 3);
    assert!(shown(&model, now).contains("Hottest resources like 2/? (3)"));
    model.press(now, Key::Escape);
    assert!(!model.view.ended && model.view.filter().is_empty());
    model.press(now, Key::Escape);
    assert!(model.view.ended);
}

#[test]
fn what_is_selected_stays_while_rows_move() {
    let (mut model, now) = model(deadlock());
    model.press(now, Key::Down);
    press(&mut model, now, "c");
    model.press(now, Key::Enter);
    assert_eq!(model.view.detail, Some(inode(2)));
    model.press(now, Key::Escape);
    model.press(now, Key::Tab);
    for _ in 0..9 {
        model.press(now, Key::Down);
    }
    model.press(now, Key::Enter);
    assert_eq!(model.view.detail, Some(inode(0x102ab)));
    model.press(now, Key::Interrupt);
    assert!(model.view.ended);
}

#[test]
fn one_resource_is_shown_with_its_queue_and_its_time() {
    let (mut model, now) = model(deadlock());
    model.view.detail = Some(inode(0x102ab));
    let text = shown(&model, now);
    let has = |line: &str| assert!(text.contains(line), "{line} is missing:\n{text}");
    has("volume inode 0x102ab");
    has("held in CW (DF)   ████████████████████████████████████████ 100.0 %");
    has("somebody waited   ████████████████████████████████████████ 100.0 %");
    has("granted     node1             CW (DF)");
    has("task0           holds CW (DF)");
    has("3 pages pinned");
    has("waiting     node3             EX");
    model.view.detail = Some(inode(0x77));
    assert!(shown(&model, now).contains("Nobody has a lock on it."));
}

#[test]
fn what_nodes_cache_is_told_by_the_second() {
    let (model, now) = model(GraphSnapshot::default());
    let text = shown(&model, now);
    let line = text
        .lines()
        .find(|line| line.starts_with("node2"))
        .expect(&text);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["node2", "2", "2000", "90.0", "%", "100", "50"]);
}

#[test]
fn what_is_missing_is_said() {
    let (mut model, now) = model(deadlock());
    let endpoint = "10.0.0.1:7170".to_owned();
    let why = "it stopped".to_owned();
    model.learn(now, Feed::News(News::Lost { endpoint, why }));
    model.learn(now, Feed::NotLooked("nobody answers".into()));
    let text = shown(&model, now);
    assert!(
        text.contains("10.0.0.1:7170 is not heard any more: it stopped"),
        "{text}"
    );
    assert!(
        text.contains("nobody answers") && text.contains("DEADLOCK"),
        "{text}"
    );
    let mut all = match heard(Vec::new()) {
        Feed::News(News::Heard(heard)) => heard,
        other => panic!("{other:?}"),
    };
    all.missed.push(Missed {
        server: 2,
        events: 77,
    });
    model.learn(now, Feed::News(News::Heard(all)));
    model.learn(now, looked(GraphSnapshot::default(), 1));
    let complaints = model.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(
        complaints[0].starts_with("256 of 256 slots") && complaints[1].starts_with("77 events")
    );
}

#[test]
fn any_size_can_be_drawn() {
    let (mut model, now) = model(deadlock());
    for detail in [None, Some(inode(0x102ab))] {
        model.view.detail = detail;
        for (width, height) in [(1, 1), (10, 3), (40, 5), (500, 200)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
            let drawn = terminal.draw(|to| {
                let area = to.area();
                draw::screen(&model, now, area, to.buffer_mut());
            });
            drawn.expect("it can be drawn");
        }
    }
}

#[test]
fn a_picture_has_what_the_screen_has() {
    let (model, now) = model(deadlock());
    let svg = frame::svg(&drawn(&model, now));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(
        svg.contains("fill=\"#ff6b6b\" font-weight=\"bold\">DEADLOCK of 2 tasks:</text>"),
        "{svg}"
    );
    assert!(!svg.contains('\u{1b}'));
}
