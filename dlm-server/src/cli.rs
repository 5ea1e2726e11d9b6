//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dlm_server::settings::Flags;

/// Glockwork's lock server: a distributed lock manager with the VMS lock modes, spoken over gRPC.
///
/// Without arguments it serves this machine only, where `dlm` and `fs-node` look for it. It stops on
/// SIGINT and SIGTERM. docs/operations.md says how to run several of them as one cluster.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Flags,

    /// Look at the settings, print those in effect with where each comes from, and do not serve.
    #[arg(long)]
    pub(crate) check: bool,

    /// Print them as JSON.
    #[arg(long, requires = "check")]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What there is to do besides serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let a stopped server go on alone, when most servers of its cluster are lost for good.
    ///
    /// The last resort: what the lost servers had agreed on and this one had not heard of is gone, and it
    /// cannot be undone. Choose the server whose log is longest. See that no other server of the cluster
    /// runs, or ever will with its old storage, and wait for a session's lease. docs/recovery.md has all
    /// steps.
    ForceSingle(ForceSingle),
}

#[derive(Debug, Args)]
pub(crate) struct ForceSingle {
    /// The server's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Do it; without, it only says what has to be so before.
    #[arg(long)]
    pub(crate) yes: bool,
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
            &["--what"][..],
            &["argument"],
            &["--json"],
            &["--id", "1", "--id", "2"],
            &["--listen"],
            &["force-single"],
            &["force-single", "--yes"],
            &["--id", "1", "force-single", "--data", "x"],
        ] {
            let error = Cli::try_parse_from([&["dlm-server"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }
}
