//! Replays recordings of the kernel's lock manager against ours.
//!
//! It prints each step that was answered otherwise than recorded, and last how many scenarios passed and
//! failed. It exits with 0 where all passed, 1 where one failed, and 2 where it was called wrongly or a
//! file is no recording.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tests::oracle::{Outcome, Scenario, Server, Table, read, replay};

/// Replays recordings of the kernel's lock manager against ours.
#[derive(Debug, Parser)]
#[command(name = "oracle", max_term_width = 100)]
struct Cli {
    /// The way to our lock manager.
    #[arg(long, value_enum, default_value_t = Over::Table)]
    over: Over,

    /// Recordings: one step a line, as JSON.
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Over {
    /// The lock table, called directly.
    Table,
    /// A lock server and a client, over gRPC on loopback; `wait` really waits.
    Grpc,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // All files are read before the first is replayed: a call that cannot be served says so at once.
    let recordings = cli.files.iter().map(|file| read(file));
    let recordings: Vec<Vec<Scenario>> = match recordings.collect() {
        Ok(recordings) => recordings,
        Err(error) => return fails(2, &error),
    };
    let scenarios = recordings.concat();
    let outcome = match cli.over {
        Over::Table => replay(&scenarios, Table::desk),
        Over::Grpc => match Server::start() {
            Ok(server) => replay(&scenarios, || server.desk()),
            Err(error) => return fails(1, &*error),
        },
    };
    report(&outcome)
}

fn fails(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("oracle: {error}");
    ExitCode::from(code)
}

fn report(outcome: &Outcome) -> ExitCode {
    for disagreement in &outcome.disagreements {
        println!("{disagreement}");
    }
    println!("{} passed, {} failed", outcome.passed, outcome.failed);
    ExitCode::from(u8::from(outcome.failed > 0))
}
