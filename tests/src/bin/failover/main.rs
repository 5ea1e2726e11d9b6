//! What faults cost a cluster of three servers on this machine: real processes, real clients, default settings.
//!
//! Without more it goes through the table of faults and prints, for each, the longest time without a grant of
//! a lock that the victim mastered, which sessions lived, how many locks living sessions lost (none), and how
//! often two held what excludes each other, judged by a witness outside (never). It exits with 1 where
//! something is not as it has to be.

mod faults;
mod load;
mod planned;
mod recover;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tests::process::{ContendOptions, contend};
use tokio::runtime::Builder;

/// What faults cost a cluster of three servers on this machine.
#[derive(Debug, Parser)]
#[command(name = "failover", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    inner: Option<Inner>,

    /// Only the faults whose names have this in them.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// How often each fault is tried.
    #[arg(long, default_value_t = 1)]
    times: usize,

    /// As JSON, one document a line.
    #[arg(long)]
    json: bool,

    /// Instead: so many locks are held by four clients, and a server is killed.
    #[arg(long, value_name = "LOCKS", conflicts_with_all = ["planned", "load"])]
    recover: Option<usize>,

    /// Instead: servers come and go by planned moves, with 10,000 locks and with waiters.
    #[arg(long, conflicts_with = "load")]
    planned: bool,

    /// Instead: for so many seconds both cores have more to do than they can, and failovers that nothing
    /// was the reason of are counted.
    #[arg(long, value_name = "SECONDS")]
    load: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Inner {
    /// A client that takes locks until it is told to end. What this program starts.
    #[command(hide = true)]
    Contend(ContendOptions),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match &cli.inner {
        // One thread: what it does between two waits is done in one piece.
        Some(_) => Builder::new_current_thread().enable_all().build(),
        None => Builder::new_multi_thread().enable_all().build(),
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("failover: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(only) = cli.only.as_deref()
        && !table::has(only)
    {
        eprintln!(
            "failover: no fault has \"{only}\" in its name; without --only it goes through all of them"
        );
        return ExitCode::from(2);
    }
    let good = runtime.block_on(run(cli));
    ExitCode::from(u8::from(!good))
}

async fn run(cli: Cli) -> bool {
    if let Some(Inner::Contend(options)) = cli.inner {
        return contend(options)
            .await
            .inspect_err(|error| eprintln!("failover: {error}"))
            .is_ok();
    }
    if let Some(locks) = cli.recover {
        return recover::run(locks, cli.times, cli.json).await;
    }
    if cli.planned {
        return planned::run(cli.times, cli.json).await;
    }
    if let Some(seconds) = cli.load {
        return load::run(seconds, cli.json).await;
    }
    table::run(cli.only.as_deref(), cli.times, cli.json).await
}
