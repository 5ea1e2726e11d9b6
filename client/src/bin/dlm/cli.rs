//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dlm_client::{ConnectError, DEFAULT_ENDPOINT, endpoints};

/// Looks at a Glockwork lock server.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The lock server.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "GLOCKWORK_ENDPOINT",
        default_value = DEFAULT_ENDPOINT,
        value_parser = endpoint
    )]
    pub(crate) endpoint: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show who holds, who waits, and who waits for each other, down to the task.
    ///
    /// A deadlock is shown only if it is still there, edge for edge, when looked at again.
    Graph(GraphArguments),
    /// Show the server's sessions and how many locks they have.
    Status(StatusArguments),
}

#[derive(Debug, Args)]
pub(crate) struct GraphArguments {
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    pub(crate) format: Format,

    /// The same as `--format json`.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Only this lockspace; a deadlock that goes through several is not seen then.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) lockspace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// As one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For graphviz.
    Dot,
    /// A picture.
    Svg,
}

impl GraphArguments {
    pub(crate) const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// Checked here, so that a mistake in it is a usage error like any other.
fn endpoint(text: &str) -> Result<String, ConnectError> {
    endpoints::parse(text).map(|_| text.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for bad in [
            &[][..],
            &["graphs"],
            &["graph", "--format", "png"],
            &["graph", "--format", "svg", "--json"],
            &["graph", "--lockspace", ""],
            &["status", "--format", "text"],
            &["status", "--endpoint", "nowhere"],
        ] {
            let error = Cli::try_parse_from([&["dlm"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn the_endpoint_may_stand_anywhere() {
        for line in [
            ["--endpoint", "a:1", "status"],
            ["status", "--endpoint", "a:1"],
        ] {
            let cli = Cli::try_parse_from([&["dlm"][..], &line].concat()).unwrap();
            assert_eq!(cli.endpoint, "a:1");
        }
    }
}
