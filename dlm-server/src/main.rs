//! The lock server's program: see `dlm-server --help`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use dlm_server::embedded;
use dlm_server::runtime;
use dlm_server::settings::{Effective, LogFormat, Settings};
use dlm_server::storage::Forced;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, ForceSingle};

mod cli;

/// What the shell expects of a program that was called wrongly.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::ForceSingle(arguments)) = &cli.command {
        return force_single(arguments);
    }
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
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.log))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match settings.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
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
    print(&text)
}

fn force_single(arguments: &ForceSingle) -> ExitCode {
    let dir = &arguments.data;
    if !arguments.yes {
        eprintln!(
            "dlm-server: this makes another cluster of {}, may lose what the old one agreed on, and cannot be \
             undone; see that no other server of it runs or ever will with its old storage, wait for a session's \
             lease, and say it again with --yes",
            dir.display()
        );
        return ExitCode::from(USAGE);
    }
    match runtime::force_single(dir) {
        Ok(Forced {
            identity,
            term,
            index,
        }) => print(&format!(
            "{} is the storage of server {}, alone in the new cluster {:032x}.\n\
             Entry {index} of term {term} ends all sessions and raises every slot's epoch.\n\
             Start the server as before. Start others with empty directories and --join, then add each: \
             dlm server add N HOST:PORT\n",
            dir.display(),
            identity.server.0,
            identity.cluster.0,
        )),
        Err(error) => {
            eprintln!("dlm-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
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
