//! The program: a node, its workloads, and the demo.
//!
//! Exit codes: 0 for success, 1 for a failure (one line on standard error says what and what to do), 2
//! for wrong usage, 130 after a signal.

mod cli;
mod config;
mod demo;
mod run;
mod workload;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, MkfsArgs, RunArgs};
use crate::config::{ConfigError, DemoConfig};
use crate::demo::Verdict;

/// What a shell reports for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            // Nobody who can be told is there where standard error is gone.
            let _ = writeln!(std::io::stderr(), "fs-node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo(&DemoConfig::new(args).unwrap_or_else(|error| misused(&error))),
        Command::Mkfs(MkfsArgs {
            volume,
            files,
            file_size,
            force,
        }) => {
            demo::volume::make(&volume, files, file_size, force)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => node(&args),
        Command::LockServer(args) => {
            demo::child::serve_locks(args.listen)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn demo(config: &DemoConfig) -> anyhow::Result<ExitCode> {
    // One thread: the work is done by other processes, and theirs is what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(match runtime.block_on(demo::run(config))? {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
        Verdict::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
    })
}

fn node(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = config::node(args);
    if args.orders {
        demo::child::serve_orders(config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(group) = args.load.workload else {
        return run::until_signal(config);
    };
    run::workload(config, &args.load, group)
}

/// Ends the program as clap does for a flag that is wrong by itself.
fn misused(error: &ConfigError) -> ! {
    Cli::command()
        .error(clap::error::ErrorKind::ValueValidation, error)
        .exit()
}
