//! `dlm top`.
//!
//! | file | what |
//! |---|---|
//! | `feed.rs` | asks and listens |
//! | `model.rs`, `resources.rs`, `rates.rs`, `spent.rs`, `nodes.rs` | what is known: plain data, fed with what was heard and a clock |
//! | `view.rs` | what of it is shown, and what the keys do |
//! | `draw.rs`, `detail.rs` | the screen, drawn into a buffer |
//! | `frame.rs` | a buffer as text and as a picture |

mod detail;
mod draw;
#[cfg(test)]
mod examples;
mod feed;
mod frame;
mod model;
mod nodes;
mod rates;
mod resources;
mod spent;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use dlm_client::{Servers, inspect};
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::{MissedTickBehavior, interval, timeout_at};
use tokio_stream::StreamExt;

use crate::ending::until_told;
use crate::error::CommandError;
use crate::output;
use feed::Feeds;
use model::Model;
use view::Key;

#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// Write one frame to standard output, after two seconds of looking, and end: for scripts.
    #[arg(long)]
    once: bool,

    /// How wide and how high that frame is.
    #[arg(long, value_name = "COLUMNSxROWS", default_value = "120x40", value_parser = size, requires = "once")]
    size: Size,

    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text, requires = "once")]
    format: Format,

    /// Write it to this file instead of standard output.
    #[arg(long, short, value_name = "FILE", requires = "once")]
    output: Option<PathBuf>,
}

pub(crate) const HELP: &str = "\
Deadlocks stand on top, in red, for as long as there are any. Rates are those
of the last five seconds. A second list has whoever waits, the longest first.

Keys:
  g w c d n   sort by grants, waits, callbacks, demotions, or name
  /           only names like this: a part of one, or a pattern with * and ?
  Tab         go to the other list
  Up, Down    select; k and j do the same
  Enter       show one resource: its queues, and where its time went
  Esc         go back, drop the filter, end
  q, Ctrl-C   end";

/// How a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Plain text.
    Text,
    /// A picture.
    Svg,
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: u16,
    rows: u16,
}

fn size(text: &str) -> Result<Size, String> {
    let parse = |text: &str| text.parse().ok().filter(|count| (10..=500).contains(count));
    let both = text.split_once('x');
    let both = both.and_then(|(columns, rows)| Some((parse(columns)?, parse(rows)?)));
    let (columns, rows) = both.ok_or("give columns and rows, 10 to 500 of each: 120x40")?;
    Ok(Size { columns, rows })
}

/// How often the screen is drawn while nobody presses a key.
const DRAWN_EVERY: Duration = Duration::from_millis(250);

/// How long is looked before one frame is written, and how long at most until everybody has answered.
const LOOK: Duration = Duration::from_secs(2);
const ANSWERS_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(
    servers: &Servers,
    arguments: &TopArguments,
) -> Result<ExitCode, CommandError> {
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !arguments.once && !has_terminal {
        return Err(CommandError::NoTerminal);
    }
    // That nobody is there is said before the screen is taken.
    inspect::status(servers).await?;
    if arguments.once {
        once(servers, arguments).await?;
        return Ok(ExitCode::SUCCESS);
    }
    until_told(show(servers)).await
}

/// Microseconds since the program began to look; never zero, so that there is a moment before it.
struct Clock(Instant);

impl Clock {
    fn now_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX) + 1
    }
}

async fn once(servers: &Servers, arguments: &TopArguments) -> Result<(), CommandError> {
    let clock = Clock(Instant::now());
    let mut model = Model::new(clock.now_us());
    let mut feeds = Feeds::begin(servers);
    let begun = tokio::time::Instant::now();
    let until = |model: &Model| match model.is_complete() {
        true => begun + LOOK,
        false => begun + ANSWERS_MAX,
    };
    while let Ok(feed) = timeout_at(until(&model), feeds.next()).await {
        model.learn(clock.now_us(), feed);
    }
    let Size { columns, rows } = arguments.size;
    let area = Rect::new(0, 0, columns, rows);
    let mut frame = Buffer::empty(area);
    draw::screen(&model, clock.now_us(), area, &mut frame);
    let rendered = match arguments.format {
        Format::Text => frame::text(&frame),
        Format::Svg => frame::svg(&frame),
    };
    output::write(arguments.output.as_deref(), &rendered)
}

/// The terminal while the screen is ours. It is as before when this is dropped, and when anything panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        // Taking it in half is no taking.
        ratatui::try_init()
            .map(Self)
            .inspect_err(|_| ratatui::restore())
    }

    fn draw(&mut self, model: &Model, now_us: u64) -> io::Result<()> {
        let drawn = self.0.draw(|frame| {
            let area = frame.area();
            draw::screen(model, now_us, area, frame.buffer_mut());
        });
        drawn.map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn show(servers: &Servers) -> Result<(), CommandError> {
    let clock = Clock(Instant::now());
    let mut model = Model::new(clock.now_us());
    let mut feeds = Feeds::begin(servers);
    let mut screen = Screen::take().map_err(CommandError::Terminal)?;
    let mut keys = EventStream::new();
    let mut every = interval(DRAWN_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !model.view.ended {
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(event)) => {
                    if let Some(key) = key(&event) {
                        model.press(clock.now_us(), key);
                    }
                }
                Some(Err(error)) => return Err(CommandError::Terminal(error)),
                // The terminal is gone.
                None => return Ok(()),
            },
            feed = feeds.next() => {
                model.learn(clock.now_us(), feed);
                while let Some(feed) = feeds.come() {
                    model.learn(clock.now_us(), feed);
                }
                continue;
            }
            _ = every.tick() => {}
        }
        screen
            .draw(&model, clock.now_us())
            .map_err(CommandError::Terminal)?;
    }
    Ok(())
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return None;
    };
    Some(match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(each) if !modifiers.contains(KeyModifiers::CONTROL) => Key::Character(*each),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        _ => return None,
    })
}
