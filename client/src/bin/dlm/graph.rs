//! `dlm graph`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use dlm_client::graph::filter::GraphFilter;
use dlm_client::graph::{GraphSnapshot, dot, json, svg, text};
use dlm_client::{Servers, inspect};
use tokio::time::sleep;

use crate::cli::usage;
use crate::ending::until_told;
use crate::error::CommandError;
use crate::{duration, output, warning};

#[derive(Debug, Args)]
pub(crate) struct GraphArguments {
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,

    /// The same as `--format json`.
    #[arg(long)]
    json: bool,

    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Only this lockspace; a deadlock that goes through several is not seen then.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    lockspace: Option<String>,

    /// Only resources with a name like this: * is any text, ? one character. Glocks are called "inode 0x102ab"
    /// and "2/102ab".
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    resource: Option<String>,

    /// Only what this node holds, waits for, or is in the way of: a session's name or its number.
    #[arg(long, value_name = "NUMBER|NAME", value_parser = NonEmptyStringValueParser::new())]
    node: Option<String>,

    /// Only deadlocks.
    #[arg(long)]
    cycles_only: bool,

    /// Only what somebody has waited for longer than this (500ms, 5s, 2m).
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    waits_longer_than: Option<Duration>,

    /// Show it again and again, every second or as often as is said, until it is ended.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
}

pub(crate) const HELP: &str = "\
What is wanted is shown with what it takes to understand it: of a resource all
locks, of a deadlock all of its waits.

Example: a picture of what is stuck, kept up to date
  dlm graph --waits-longer-than 1s --format svg --output stuck.svg --watch";

/// How a graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let in_range = seconds.filter(|seconds| (0.1..=86_400.0).contains(seconds));
    in_range
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds, 0.1 or more".into())
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &GraphArguments,
) -> Result<ExitCode, CommandError> {
    let Some(every) = arguments.watch else {
        let graph = arguments.look(servers).await?;
        output::write(arguments.output.as_deref(), &arguments.render(&graph))?;
        warning::incomplete(&graph.coverage);
        return Ok(ExitCode::SUCCESS);
    };
    let picture = matches!(arguments.format(), Format::Dot | Format::Svg);
    if picture && arguments.output.is_none() {
        usage("pictures one after another are no picture; with --watch name a file with --output");
    }
    until_told(arguments.watch(servers, every)).await
}

impl GraphArguments {
    const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    async fn look(&self, servers: &Servers) -> Result<GraphSnapshot, CommandError> {
        let graph = match &self.lockspace {
            None => inspect::graph(servers).await?,
            Some(lockspace) => inspect::graph_of(servers, lockspace).await?,
        };
        let longer = self.waits_longer_than.map(|time| time.as_micros());
        let filter = GraphFilter {
            lockspace: None,
            resource: self.resource.clone(),
            node: self.node.clone(),
            cycles_only: self.cycles_only,
            waits_longer_than_us: longer.map(|us| u64::try_from(us).unwrap_or(u64::MAX)),
        };
        Ok(filter.apply(graph))
    }

    fn render(&self, graph: &GraphSnapshot) -> String {
        match self.format() {
            Format::Text => text::render(graph),
            Format::Json => json::render(graph),
            Format::Dot => dot::render(graph),
            Format::Svg => svg::render(graph),
        }
    }

    /// A server that is lost is waited for: what was shown last stays, and why nothing newer comes is said.
    async fn watch(&self, servers: &Servers, every: Duration) -> Result<(), CommandError> {
        let mut complaints = Vec::new();
        // That nobody is there at all is a failure.
        let mut looked: Result<_, CommandError> = Ok(self.look(servers).await?);
        loop {
            let said = match &looked {
                Ok(graph) => {
                    self.show(graph)?;
                    graph.coverage.complaints()
                }
                Err(error) => vec![error.to_string()],
            };
            if said != complaints {
                for complaint in &said {
                    eprintln!("dlm: not all is shown: {complaint}");
                }
                complaints = said;
            }
            sleep(every).await;
            looked = self.look(servers).await;
        }
    }

    fn show(&self, graph: &GraphSnapshot) -> Result<(), CommandError> {
        let rendered = self.render(graph);
        match &self.output {
            Some(path) => output::replace(path, &rendered),
            None if io::stdout().is_terminal() => {
                output::write(None, &format!("{CLEAR}{rendered}"))
            }
            None if self.format() == Format::Text => output::write(None, &format!("{rendered}\n")),
            None => output::write(None, &rendered),
        }
    }
}
