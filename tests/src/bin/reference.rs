//! Writes the reference pages in `docs/reference/`: what the programs' `--help` says, and what the `.proto` files say.
//!
//! With `--check` it only compares, and exits with 1 where a page is not what it would write. It exits with 1
//! where it cannot, and with 2 where it was called wrongly.

use std::process::ExitCode;

use clap::Parser;
use tests::process::Binaries;
use tests::reference::{COMMAND, DIRECTORY, ReferenceError, difference, pages, write};

/// Writes the reference pages in docs/reference/.
///
/// The programs' help is taken from the programs next to this one, as they were built last.
#[derive(Debug, Parser)]
#[command(name = "reference", max_term_width = 100)]
struct Cli {
    /// Write nothing: exit with 1 where a page is not what would be written.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = if cli.check { check() } else { renew() };
    done.unwrap_or_else(|error| {
        eprintln!("reference: {error}");
        ExitCode::FAILURE
    })
}

fn check() -> Result<ExitCode, ReferenceError> {
    Ok(match difference(&pages(Binaries::built())?)? {
        None => ExitCode::SUCCESS,
        Some(what) => {
            eprintln!("reference: {what}; write it again with: {COMMAND}");
            ExitCode::FAILURE
        }
    })
}

fn renew() -> Result<ExitCode, ReferenceError> {
    let pages = pages(Binaries::built())?;
    write(&pages)?;
    println!("{} pages are in {DIRECTORY}.", pages.len());
    Ok(ExitCode::SUCCESS)
}
