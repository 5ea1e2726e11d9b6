//! The program: a node, its workloads, and the demo.
//!
//! Exit codes: 0 for success, 1 for a failure (one line on standard error says what and what to do), 2
//! for wrong usage, 130 after a signal.

mod cli;
mod config;
mod demo;
mod service;
mod spans;
mod workload;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::{Cli, Command, LoadArgs, MkfsArgs, RunArgs};
use crate::config::{ConfigError, DemoConfig};
use crate::demo::Verdict;
use crate::spans::Export;

/// What a shell reports for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = watched(&cli.command).and_then(|_exporting| run(cli.command));
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Nobody who can be told is there where standard error is gone.
            let _ = writeln!(std::io::stderr(), "fs-node: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Begins to log, and to export spans where that is asked for, until what it gives is dropped.
fn watched(command: &Command) -> anyhow::Result<Option<Export>> {
    let export = match command {
        Command::Run(args) => args.otlp_endpoint.as_deref().map(|at| (at, &args.name)),
        _ => None,
    };
    let export = export.map(|(at, node)| Export::new(at, node)).transpose()?;
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::from_default_env());
    // Our own spans: those of the libraries below say nothing of locks, and those of the exporter would be
    // exported in turn.
    let ours = Targets::new()
        .with_target("fs_node", Level::DEBUG)
        .with_target("dlm_client", Level::DEBUG);
    let spans = export.as_ref().map(|export| {
        let layer = tracing_opentelemetry::layer().with_tracer(export.tracer());
        layer.with_filter(ours)
    });
    tracing_subscriber::registry().with(log).with(spans).init();
    Ok(export)
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo(&DemoConfig::new(args).unwrap_or_else(|error| misused(&error))),
        Command::Mkfs(MkfsArgs {
            volume,
            files,
            file_size,
            force,
            if_missing,
        }) => {
            if if_missing {
                demo::volume::Volume::prepare(Some(&volume), files, file_size)?;
            } else {
                demo::volume::make(&volume, files, file_size, force)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => node(&args),
        Command::Workload(args) => workload(&args),
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
    if args.orders {
        demo::child::serve_orders(config::node(args))?;
        return Ok(ExitCode::SUCCESS);
    }
    match config::service(args) {
        Ok(config) => service::serve(config),
        Err(error @ ConfigError::Tls(_)) => Err(error.into()),
        Err(error) => misused(&error),
    }
}

fn workload(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let mut servers = args.endpoints.clone();
    if let Some(tls) = config::tls(&args.tls)? {
        servers = servers.with_tls(tls);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ran = runtime.block_on(dlm_client::workload::run(&servers, &args.load));
    ran.or_else(|error| {
        // Nobody who can be told is there where standard error is gone.
        let _ = writeln!(std::io::stderr(), "fs-node: {error}");
        Ok(ExitCode::from(error.exit_code()))
    })
}

/// Ends the program as clap does for a flag that is wrong by itself.
fn misused(error: &ConfigError) -> ! {
    Cli::command()
        .error(clap::error::ErrorKind::ValueValidation, error)
        .exit()
}
