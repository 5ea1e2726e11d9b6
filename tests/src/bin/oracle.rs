//! Replays recordings of the kernel's lock manager against ours.
//!
//! `oracle FILE.jsonl…` prints each step that was answered otherwise than recorded, and last how many
//! scenarios passed and failed. It exits with 0 where all passed, 1 where one failed, and 2 where it was
//! called wrongly or a file cannot be read.

use std::path::Path;
use std::process::ExitCode;

use tests::oracle::{Outcome, ReadError, Table, read, replay};

const USAGE: &str = "usage: oracle FILE.jsonl…";

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() || files.iter().any(|file| file.starts_with('-')) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(&files) {
        Ok(outcome) => {
            for disagreement in &outcome.disagreements {
                println!("{disagreement}");
            }
            println!("{} passed, {} failed", outcome.passed, outcome.failed);
            ExitCode::from(u8::from(outcome.failed > 0))
        }
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::from(2)
        }
    }
}

/// All files are read before the first is replayed: a call that cannot be served says so at once.
fn run(files: &[String]) -> Result<Outcome, ReadError> {
    let recordings = files.iter().map(|file| read(Path::new(file)));
    let recordings: Vec<_> = recordings.collect::<Result<_, _>>()?;
    let mut total = Outcome::default();
    for scenarios in recordings {
        let outcome = replay(&scenarios, Table::desk);
        total.passed += outcome.passed;
        total.failed += outcome.failed;
        total.disagreements.extend(outcome.disagreements);
    }
    Ok(total)
}
