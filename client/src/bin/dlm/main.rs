//! The `dlm` command: see `dlm --help`.

use std::env;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::CommandError;

mod cli;
mod duration;
mod error;
mod graph;
mod lock;
mod output;
mod status;
mod watchdog;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    if arguments.next().is_some_and(|name| name == watchdog::NAME) {
        return watchdog::main(arguments);
    }
    match run(&Cli::parse()) {
        Ok(code) => code,
        // Whoever read us has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dlm: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    runtime.block_on(async {
        match &cli.command {
            Command::Lock(arguments) => return lock::run(&cli.endpoint, arguments).await,
            Command::Graph(arguments) => graph::run(&cli.endpoint, arguments).await?,
            Command::Status(arguments) => status::run(&cli.endpoint, arguments).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
