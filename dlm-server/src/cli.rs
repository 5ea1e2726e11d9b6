//! The command line.

use std::net::SocketAddr;

use clap::Parser;
use dlm_server::DEFAULT_ENDPOINT;
use tracing_subscriber::EnvFilter;

/// Glockwork's lock server: a distributed lock manager with the VMS lock modes, spoken over gRPC.
///
/// Without arguments it serves this machine only, where `dlm` and `fs-node` look for it. It stops on
/// SIGINT and SIGTERM.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The address to listen on; port 0 takes a free one.
    ///
    /// Clients are not authenticated, so an address that others can reach gives them the locks.
    #[arg(long, value_name = "ADDR", env = "GLOCKWORK_LISTEN", default_value = DEFAULT_ENDPOINT)]
    pub(crate) listen: SocketAddr,

    /// What to log to standard error: error, warn, info, debug, trace, off, or a filter such as
    /// `info,dlm_server=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "GLOCKWORK_LOG",
        default_value = "info",
        value_parser = log_filter
    )]
    pub(crate) log: String,
}

/// Checked here, so that a mistake in it is a usage error like any other.
fn log_filter(filter: &str) -> Result<String, String> {
    match EnvFilter::try_new(filter) {
        Ok(_) => Ok(filter.into()),
        Err(error) => Err(error.to_string()),
    }
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
            &["--listen", "nowhere"][..],
            &["--listen", "127.0.0.1:70000"],
            &["--log", "dlm_server=loud"],
            &["--what"],
            &["argument"],
        ] {
            let error = Cli::try_parse_from([&["dlm-server"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }
}
