//! The lock server's program: see `dlm-server --help`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use dlm_server::embedded;
use dlm_server::settings::{Effective, Settings};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

mod cli;

/// What the shell expects of a program that was called wrongly.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What is not UTF-8 is no setting; a setting's name is.
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let loaded = match Settings::load(cli.settings, &environment) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in mistakes.0 {
                eprintln!("dlm-server: {mistake}");
            }
            return ExitCode::from(USAGE);
        }
    };
    let settings = loaded.settings;
    if cli.check {
        for note in loaded.notes {
            eprintln!("dlm-server: {note}");
        }
        return show(&loaded.effective, cli.json);
    }
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.log))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    for note in loaded.notes {
        warn!("{note}");
    }
    match embedded::run(&settings, |addr| info!("serving on {addr}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlm-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(effective: &Effective, json: bool) -> ExitCode {
    let text = match json {
        true => format!("{:#}\n", effective.json()),
        false => effective.to_string(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlm-server: cannot print: {error}");
            ExitCode::FAILURE
        }
    }
}
