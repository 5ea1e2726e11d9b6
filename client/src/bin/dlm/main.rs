//! The `dlm` command: see `dlm --help`.

use std::env;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use dlm_client::workload;

use crate::cli::{Cli, Command};
use crate::error::CommandError;

mod caches;
mod cli;
mod dump;
mod duration;
mod ending;
mod error;
mod evict;
mod fault;
mod fence;
mod graph;
mod health;
mod history;
mod lock;
mod locks;
mod lockspaces;
mod manual;
mod node;
mod output;
mod purge;
mod server;
mod sessions;
mod signals;
mod status;
mod table;
mod top;
mod warning;
mod watch;
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
    let servers = cli.servers()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    runtime.block_on(async {
        match &cli.command {
            Command::Lock(arguments) => return lock::run(&servers, arguments).await,
            Command::Graph(arguments) => return graph::run(&servers, arguments).await,
            Command::Top(arguments) => return top::run(&servers, arguments).await,
            Command::Watch(arguments) => return watch::run(&servers, arguments).await,
            Command::History(arguments) => history::run(&servers, arguments).await?,
            Command::Status(arguments) => status::run(&servers, arguments).await?,
            Command::Locks(arguments) => locks::run(&servers, arguments).await?,
            Command::Caches(arguments) => caches::run(&servers, arguments).await?,
            Command::Lockspaces(arguments) => lockspaces::run(&servers, arguments).await?,
            Command::Dump(arguments) => dump::run(&servers, arguments).await?,
            Command::Purge(arguments) => purge::run(&servers, arguments).await?,
            Command::Sessions(arguments) => sessions::run(&servers, arguments).await?,
            Command::Evict(arguments) => evict::run(&servers, arguments).await?,
            Command::Fence(arguments) => fence::run(&servers, arguments).await?,
            Command::Health(arguments) => health::run(&servers, arguments).await?,
            Command::Server(arguments) => server::run(&servers, arguments).await?,
            Command::Fault(arguments) => fault::run(&servers, arguments).await?,
            Command::Node(arguments) => node::run(&servers, arguments).await?,
            Command::Workload(arguments) => return Ok(workload::run(&servers, arguments).await?),
            Command::Completions(arguments) => manual::completions(arguments)?,
            Command::Manual(arguments) => manual::run(arguments)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
