//! The command line.

use clap::Parser;
use dlm_server::settings::Flags;

/// Glockwork's lock server: a distributed lock manager with the VMS lock modes, spoken over gRPC.
///
/// Without arguments it serves this machine only, where `dlm` and `fs-node` look for it. It stops on
/// SIGINT and SIGTERM. docs/operations.md says how to run several of them as one cluster.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Flags,

    /// Look at the settings, print those in effect with where each comes from, and do not serve.
    #[arg(long)]
    pub(crate) check: bool,

    /// Print them as JSON.
    #[arg(long, requires = "check")]
    pub(crate) json: bool,
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
        ] {
            let error = Cli::try_parse_from([&["dlm-server"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }
}
