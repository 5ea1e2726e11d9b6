//! `dlm watch`.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use dlm_client::Servers;
use dlm_client::events::{self, EventDocument, EventKind};
use dlm_client::graph::{Cycle, Edge, text, time};
use dlm_client::inspect::{self, Coverage, Heard, News, WatchFilter};
use serde::Serialize;

use crate::ending::until_told;
use crate::error::CommandError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// Only this lockspace; it need not be open yet.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    lockspace: Option<String>,

    /// Only resources with a name like this: * is any text, ? one character. Glocks are called "inode 0x102ab"
    /// and "2/102ab".
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    resource: Option<String>,

    /// Only the locks of this node: a session's name or its number.
    #[arg(long, value_name = "NUMBER|NAME", value_parser = NonEmptyStringValueParser::new())]
    node: Option<String>,

    /// Only these, with commas between them.
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_parser = kinds())]
    kind: Vec<EventKind>,

    /// A JSON document on each line.
    #[arg(long)]
    json: bool,
}

pub(crate) const HELP: &str = "\
Kinds:
  waits, granted, converted, demoted, callback, released, cancelled, denied
                    of a lock
  recovered, moved  a slot is served: by what its clients claimed, or as it was

Deadlocks are told of when they appear and when they are gone, whatever else is
asked for. What is missed, because it comes faster than it is read or because
no server could be heard, is said, too. It goes on with another server when one
is lost, and fails when none could be heard for 10 s.

With --json each line is an object with a \"type\": event, missed, coverage,
deadlock, deadlock-gone, lost, back.

Example: who has to wait in a lockspace
  dlm watch --lockspace volume --kind waits,denied";

fn kinds() -> impl TypedValueParser<Value = EventKind> {
    let named = |name: String| EventKind::ALL.into_iter().find(|kind| kind.name() == name);
    PossibleValuesParser::new(EventKind::ALL.map(EventKind::name))
        .map(move |name| named(name).expect("it is one of them"))
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &WatchArguments,
) -> Result<ExitCode, CommandError> {
    until_told(follow(servers, arguments)).await
}

async fn follow(servers: &Servers, arguments: &WatchArguments) -> Result<(), CommandError> {
    let filter = WatchFilter {
        lockspace: arguments.lockspace.clone(),
        resource: arguments.resource.clone(),
        session: arguments.node.clone(),
        kinds: arguments.kind.clone(),
    };
    let mut watch = inspect::watch(servers, &filter).await?;
    let mut output = Output::open(None)?;
    if !arguments.json {
        output.text(&format!("{}\n", events::HEADER))?;
        output.flush()?;
    }
    loop {
        let news = watch.next().await?;
        let now = SystemTime::now();
        let mut said = String::new();
        if arguments.json {
            write_documents(&news, now, &mut said);
        } else {
            // Writing to a string does not fail.
            let _ = write_lines(&news, now, &mut said);
        }
        output.text(&said)?;
        output.flush()?;
    }
}

/// For people; what is not an event begins with a star.
fn write_lines(news: &News, now: SystemTime, to: &mut String) -> std::fmt::Result {
    let heard = match news {
        News::Heard(heard) => heard,
        News::Lost { endpoint, why } => {
            return writeln!(to, "* {endpoint} is not heard any more: {why}");
        }
        News::Back { endpoint, after } => {
            let away = time(microseconds(*after));
            return writeln!(
                to,
                "* {endpoint} is heard; what happened in {away} was missed"
            );
        }
    };
    for complaint in heard.coverage.iter().flat_map(Coverage::complaints) {
        writeln!(to, "* not all is heard: {complaint}")?;
    }
    if heard.coverage.as_ref().is_some_and(Coverage::is_whole) {
        writeln!(to, "* all servers are heard")?;
    }
    for event in &heard.events {
        writeln!(to, "{}", events::line(event, now))?;
    }
    for missed in &heard.missed {
        let (server, count) = (missed.server, missed.events);
        writeln!(
            to,
            "* {count} events of server {server} came too fast and were missed"
        )?;
    }
    for cycle in &heard.appeared {
        write!(to, "* {}", text::ring(cycle))?;
    }
    for cycle in &heard.gone {
        let tasks: Vec<String> = cycle
            .edges
            .iter()
            .map(|one| one.waiter.to_string())
            .collect();
        writeln!(to, "* the deadlock of {} is gone", tasks.join(", "))?;
    }
    Ok(())
}

/// For programs: a line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    Event(Box<EventDocument<'a>>),
    Missed(inspect::Missed),
    Coverage(&'a Coverage),
    Deadlock { edges: &'a [Edge] },
    DeadlockGone { edges: &'a [Edge] },
    Lost { endpoint: &'a str, why: &'a str },
    Back { endpoint: &'a str, missed_us: u64 },
}

fn write_documents(news: &News, now: SystemTime, to: &mut String) {
    let mut write = |line: Line<'_>| {
        let text = serde_json::to_string(&line);
        to.push_str(&text.expect("numbers and strings are always JSON"));
        to.push('\n');
    };
    match news {
        News::Lost { endpoint, why } => write(Line::Lost { endpoint, why }),
        News::Back { endpoint, after } => write(Line::Back {
            endpoint,
            missed_us: microseconds(*after),
        }),
        News::Heard(Heard {
            events,
            missed,
            coverage,
            appeared,
            gone,
        }) => {
            coverage.iter().for_each(|it| write(Line::Coverage(it)));
            for event in events {
                write(Line::Event(Box::new(EventDocument::new(event, now))));
            }
            missed.iter().for_each(|&it| write(Line::Missed(it)));
            for Cycle { edges } in appeared {
                write(Line::Deadlock { edges });
            }
            for Cycle { edges } in gone {
                write(Line::DeadlockGone { edges });
            }
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
