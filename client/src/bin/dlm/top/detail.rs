//! One resource by itself: its queues, and where its time went.

use dlm_client::Mode;
use dlm_client::graph::{Lock, Object, time};
use dlm_client::inspect::Queue;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use super::draw::{FAINT, TITLE};
use super::model::Model;
use super::spent::Shares;

/// How wide the bar of a whole is.
const BAR: usize = 40;

pub(super) fn draw(model: &Model, object: &Object, now_us: u64, area: Rect, to: &mut Buffer) {
    let mut lines = vec![Line::styled(object.to_string(), TITLE)];
    let rates = model.rates(object, now_us);
    lines.push(Line::from(format!(
        "{:.1} grants/s, {:.1} waits/s, {:.1} callbacks/s, {:.1} demotions/s",
        rates.grants, rates.waits, rates.callbacks, rates.demotions
    )));
    lines.push(Line::default());
    if let Some(shares) = model.shares(object, now_us) {
        spent(object, &shares, &mut lines);
        lines.push(Line::default());
    }
    let age = model.since_look(now_us);
    match model.resource(object) {
        Some(resource) if !resource.locks.is_empty() => {
            let locks = resource.locks.iter();
            lines.push(Line::styled("Its queues", TITLE));
            locks.for_each(|lock| queued(object, lock, age, &mut lines));
        }
        _ => lines.push(Line::styled("Nobody has a lock on it.", FAINT)),
    }
    Paragraph::new(lines).render(area, to);
}

/// A bar for each mode, for nobody, and for whoever waited.
fn spent(object: &Object, shares: &Shares, lines: &mut Vec<Line<'static>>) {
    let looked = time(shares.looked_us);
    let title = format!("Where its time went, in the {looked} that it was looked at");
    lines.push(Line::styled(title, TITLE));
    for &(mode, share) in &shares.held {
        let color = if mode == Mode::Ex {
            Color::Magenta
        } else {
            Color::Blue
        };
        lines.push(bar(&format!("held in {}", object.mode(mode)), share, color));
    }
    lines.push(bar("free", shares.free, Color::Green));
    lines.push(bar("somebody waited", shares.waited, Color::Yellow));
    let waits = shares.waits;
    if let Some(mean) = waits.sum_us.checked_div(waits.count) {
        let (count, mean, longest) = (waits.count, time(mean), time(waits.longest_us));
        let ended = format!("  {count} waits ended: {mean} on average, {longest} the longest");
        lines.push(Line::from(ended));
    }
}

fn bar(what: &str, share: f64, color: Color) -> Line<'static> {
    let full = (share * BAR as f64).round() as usize;
    // What there is can be seen.
    let full = full.max(usize::from(share > 0.0)).min(BAR);
    let percent = share * 100.0;
    Line::from(vec![
        Span::raw(format!("  {what:18}")),
        Span::styled("█".repeat(full), Style::new().fg(color)),
        Span::styled("░".repeat(BAR - full), FAINT),
        Span::raw(format!(" {percent:5.1} %")),
    ])
}

/// A lock, and the tasks behind it.
fn queued(object: &Object, lock: &Lock, age_us: u64, lines: &mut Vec<Line<'static>>) {
    let word = |mode: Option<Mode>| mode.map(|mode| object.mode(mode)).unwrap_or_default();
    let (granted, requested) = (word(lock.granted), word(lock.requested));
    let (queue, modes, style) = match lock.queue {
        Queue::Granted => ("granted", granted, Style::new()),
        Queue::Converting => (
            "converting",
            format!("{granted} to {requested}"),
            Style::new().fg(Color::Yellow),
        ),
        Queue::Waiting => ("waiting", requested, Style::new().fg(Color::Yellow)),
    };
    let (name, since) = (&lock.session_name, time(lock.age_us + age_us));
    let line = format!("  {queue:10}  {name:16}  {modes:18}  {since:>8}");
    lines.push(Line::styled(line, style));
    for holder in &lock.holders {
        let verb = if holder.granted { "holds" } else { "waits for" };
        let (task, mode) = (&holder.task, object.mode(holder.mode));
        let since = time(holder.age_us + age_us);
        let pins = match holder.pins {
            0 => String::new(),
            pins => format!("  {pins} pages pinned"),
        };
        let what = format!("{verb} {mode}");
        let line = format!("                {task:14}  {what:18}  {since:>8}{pins}");
        lines.push(Line::styled(line, FAINT));
    }
}
