//! The lock server's program: see `dlm-server --help`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use dlm_server::embedded;
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

mod cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&cli.log))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match embedded::run(cli.listen, |addr| info!("serving on {addr}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlm-server: {error}");
            ExitCode::FAILURE
        }
    }
}
