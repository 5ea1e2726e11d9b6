//! The screen, drawn into a buffer: deadlocks on top, then what happens most, who waits longest, and what nodes
//! cache.

use dlm_client::graph::{Cycle, time};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Widget};

use super::detail;
use super::model::Model;
use super::nodes::NodeRow;
use super::view::{List, Sort};
use crate::caches::percent;

const RED: Style = Style::new().fg(Color::Red);
const BAD: Style = RED.add_modifier(Modifier::BOLD);
const WARNING: Style = Style::new().fg(Color::Yellow);
pub(super) const TITLE: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
pub(super) const FAINT: Style = Style::new().fg(Color::DarkGray);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
const SORTED: Style = Style::new().add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED));

/// The most complaints that are shown; there are more lines to spend on what goes on.
const COMPLAINTS_MAX: usize = 3;

/// All of it, at a moment.
pub(super) fn screen(model: &Model, now_us: u64, area: Rect, to: &mut Buffer) {
    let complaints = model.complaints();
    let cycles = model.cycles();
    let complained = complaints.len().min(COMPLAINTS_MAX) as u16;
    let red = lines_of(&cycles).min(usize::from(area.height / 3)) as u16;
    let [header, complaining, deadlocks, middle, help] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(complained),
        Constraint::Length(red),
        Constraint::Min(0),
        Constraint::Length(1),
    ]));
    let title = Span::styled("dlm top  ", TITLE);
    Line::from(vec![title, Span::raw(model.header(now_us))]).render(header, to);
    let complaints = complaints.into_iter().take(COMPLAINTS_MAX);
    let complaints: Vec<Line<'_>> = complaints.map(|one| Line::styled(one, WARNING)).collect();
    Paragraph::new(complaints).render(complaining, to);
    draw_cycles(&cycles, deadlocks, to);
    match &model.view.detail {
        Some(object) => detail::draw(model, object, now_us, middle, to),
        None => draw_lists(model, now_us, middle, to),
    }
    help_line(model).render(help, to);
}

fn draw_lists(model: &Model, now_us: u64, area: Rect, to: &mut Buffer) {
    let nodes = model.nodes();
    let waiters = model.waiters(now_us).len();
    let third = area.height / 3;
    let wanted = |rows: usize| u16::try_from(rows + 3).unwrap_or(u16::MAX).min(third);
    let [hot, waiting, caches] = area.layout(&Layout::vertical([
        Constraint::Min(0),
        Constraint::Length(wanted(waiters)),
        Constraint::Length(wanted(nodes.len())),
    ]));
    draw_hot(model, now_us, hot, to);
    draw_waiters(model, now_us, waiting, to);
    draw_nodes(&nodes, caches, to);
}

fn lines_of(cycles: &[Cycle]) -> usize {
    cycles.iter().map(|cycle| 1 + cycle.edges.len()).sum()
}

fn draw_cycles(cycles: &[Cycle], area: Rect, to: &mut Buffer) {
    let mut lines = Vec::new();
    for cycle in cycles {
        let tasks = cycle.edges.len();
        lines.push(Line::styled(format!("DEADLOCK of {tasks} tasks:"), BAD));
        let edges = cycle.edges.iter();
        lines.extend(edges.map(|edge| Line::styled(format!("  {edge}"), RED)));
    }
    let rows = usize::from(area.height);
    if lines.len() > rows && rows > 0 {
        let left = lines.len() + 1 - rows;
        lines.truncate(rows - 1);
        lines.push(Line::styled(
            format!("{left} lines more: dlm graph --cycles-only"),
            BAD,
        ));
    }
    Paragraph::new(lines).render(area, to);
}

/// The rows from which on to show, so that the selected one is among as many as there is room for.
const fn first_shown(selected: usize, room: usize) -> usize {
    (selected + 1).saturating_sub(room)
}

/// A title over a table, whose selected row is in reverse where the keys go to it.
fn draw_table(
    (title, heads): (Line<'_>, Row<'_>),
    (rows, widths): (Vec<Row<'_>>, &[Constraint]),
    selected: Option<usize>,
    (area, to): (Rect, &mut Buffer),
) {
    let [over, under] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
    ]));
    title.render(over, to);
    let room = usize::from(under.height.saturating_sub(1));
    let skipped = first_shown(selected.unwrap_or_default(), room);
    let rows = rows.into_iter().enumerate().skip(skipped).take(room);
    let rows = rows.map(|(at, row)| match selected {
        Some(selected) if selected == at => row.style(SELECTED),
        _ => row,
    });
    Widget::render(
        Table::new(rows, widths.to_vec())
            .header(heads)
            .column_spacing(2),
        under,
        to,
    );
}

fn draw_hot(model: &Model, now_us: u64, area: Rect, to: &mut Buffer) {
    let sort = model.view.sort;
    let head = |name: &'static str, by: Sort| {
        let style = if sort == by { SORTED } else { Style::new() };
        let line = Line::styled(name, style);
        Cell::from(if by == Sort::Name {
            line
        } else {
            line.right_aligned()
        })
    };
    let heads = Row::new([
        head("GRANTS/s", Sort::Grants),
        head("WAITS/s", Sort::Waits),
        head("CALLBACKS/s", Sort::Callbacks),
        head("DEMOTIONS/s", Sort::Demotions),
        head("RESOURCE", Sort::Name),
    ]);
    let found = model.hot(now_us);
    let title = match (model.view.filter(), found.len()) {
        ("", count) => format!("Hottest resources ({count})"),
        (filter, count) => format!("Hottest resources like {filter} ({count})"),
    };
    let rows = found.iter().map(|(object, rates)| {
        Row::new([
            number(rates.grants),
            number(rates.waits),
            number(rates.callbacks),
            number(rates.demotions),
            Cell::from(object.to_string()),
        ])
    });
    let selected = (model.view.list == List::Hot).then(|| model.selected_row(now_us, List::Hot));
    let widths = [8, 7, 11, 11].map(Constraint::Length);
    let widths = [&widths[..], &[Constraint::Min(10)]].concat();
    draw_table(
        (Line::styled(title, TITLE), heads),
        (rows.collect(), &widths),
        selected,
        (area, to),
    );
}

fn draw_waiters(model: &Model, now_us: u64, area: Rect, to: &mut Buffer) {
    let waiters = model.waiters(now_us);
    let title = format!("Longest waiters ({})", waiters.len());
    let heads = Row::new(["WAITED", "WHO", "WANTS", "RESOURCE", "IN THE WAY"]);
    let rows = waiters.iter().map(|one| {
        let more = match one.more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let behind = format!("{} ({}){more}", one.behind, one.object.mode(one.holds));
        let row = Row::new([
            Cell::from(Line::from(time(one.waited_us)).right_aligned()),
            Cell::from(one.task.to_string()),
            Cell::from(one.object.mode(one.wants)),
            Cell::from(one.object.to_string()),
            Cell::from(behind),
        ]);
        if one.in_cycle { row.style(RED) } else { row }
    });
    let selected =
        (model.view.list == List::Waiters).then(|| model.selected_row(now_us, List::Waiters));
    let widths = [
        Constraint::Length(7),
        Constraint::Fill(2),
        Constraint::Length(7),
        Constraint::Fill(3),
        Constraint::Fill(3),
    ];
    draw_table(
        (Line::styled(title, TITLE), heads),
        (rows.collect(), &widths),
        selected,
        (area, to),
    );
}

fn draw_nodes(nodes: &[NodeRow], area: Rect, to: &mut Buffer) {
    let right = |name: &'static str| Cell::from(Line::from(name).right_aligned());
    let heads = Row::new([
        Cell::from("NODE"),
        right("GLOCKS"),
        right("REQUESTS/s"),
        right("HITS"),
        right("DEMOTIONS/s"),
        right("CALLBACKS/s"),
    ]);
    let rows = nodes.iter().map(|node| {
        let rate = |rate: Option<f64>| rate.map_or_else(dash, number);
        if node.silent {
            return Row::new([format!("{} did not answer", node.name)]).style(WARNING);
        }
        Row::new([
            Cell::from(node.name.clone()),
            Cell::from(Line::from(node.glocks.to_string()).right_aligned()),
            rate(node.requests),
            Cell::from(Line::from(percent(node.hits)).right_aligned()),
            rate(node.demotions),
            rate(node.callbacks),
        ])
    });
    let widths = [8, 10, 8, 11, 11].map(Constraint::Length);
    let widths = [&[Constraint::Max(30)], &widths[..]].concat();
    let title = Line::styled("What nodes cache", TITLE);
    draw_table((title, heads), (rows.collect(), &widths), None, (area, to));
}

/// A rate: with a digit after the point where it is small, and faint where it is nothing.
fn number(rate: f64) -> Cell<'static> {
    let (text, style) = match rate {
        0.0 => ("0".to_owned(), FAINT),
        ..10.0 => (format!("{rate:.1}"), Style::new()),
        _ => (format!("{rate:.0}"), Style::new()),
    };
    Cell::from(Line::styled(text, style).right_aligned())
}

fn dash() -> Cell<'static> {
    Cell::from(Line::styled("-", FAINT).right_aligned())
}

fn help_line(model: &Model) -> Line<'static> {
    let view = &model.view;
    if view.is_typing() {
        let typed = format!("/{}_", view.filter());
        let what =
            "   part of a name, or a pattern with * and ?; Enter to keep it, Esc to leave it";
        return Line::from(vec![Span::raw(typed), Span::styled(what, FAINT)]);
    }
    let text = match view.detail {
        Some(_) => "Esc back   / filter   q quit",
        None => {
            "g w c d n sort   / filter   Tab other list   Up Down select   Enter details   q quit"
        }
    };
    Line::styled(text, FAINT)
}
