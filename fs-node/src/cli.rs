//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dlm_client::Servers;
use dlm_client::workload::WorkloadArguments;
use fs_node::Policy;

use crate::config::{bytes, io_bytes};
use crate::workload::layout::{FILES_MAX, NODES_MAX, TASKS_MAX};

/// A cluster-filesystem node.
#[derive(Debug, Parser)]
#[command(name = "fs-node", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster on this machine: one that deadlocks, and the same one that does not
    Demo(DemoArgs),
    /// Make a volume
    Mkfs(MkfsArgs),
    /// Run a node of a cluster: it shares a volume with others, and takes orders over gRPC
    Run(Box<RunArgs>),
    /// Run a workload on the nodes of the cluster, all at once: the same as dlm workload
    Workload(Box<LoadArgs>),
    /// The lock server that the demo starts
    #[command(hide = true)]
    LockServer(LockServerArgs),
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Nodes, each a process
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = count::<2, NODES_MAX>)]
    pub(crate) nodes: usize,
    /// Length of each policy's main run
    #[arg(long, default_value_t = 3, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Policies to run: block, nofault, try-cycle, ordered; all where none is named
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    pub(crate) policy: Vec<Policy>,
    /// Seed of all random choices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Files on the volume [default: twice the nodes, at least 6]
    #[arg(long, value_name = "N", value_parser = count::<2, FILES_MAX>)]
    pub(crate) files: Option<usize>,
    /// Bytes in one I/O: whole pages, such as 32k
    #[arg(long, default_value = "32k", value_name = "BYTES", value_parser = io_bytes)]
    pub(crate) io_size: usize,
    /// Tasks on each node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = count::<1, TASKS_MAX>)]
    pub(crate) tasks: usize,
    /// File or block device that holds the volume; the content of a flat volume's files is overwritten,
    /// anything else that is not empty is refused [default: a file in a temporary directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) volume: Option<PathBuf>,
    /// Where to draw the lock graph of the deadlock
    #[arg(long, default_value = "glockwork-deadlock.svg", value_name = "FILE")]
    pub(crate) svg: PathBuf,
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Minimum hold time of glocks, fixed [default: 2 ms, which adapts]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) hold_ms: Option<u64>,
}

/// Flags of `mkfs`.
#[derive(Debug, Args)]
pub(crate) struct MkfsArgs {
    /// File or block device
    pub(crate) volume: PathBuf,
    /// How many files it will have
    #[arg(long, value_name = "N")]
    pub(crate) files: u64,
    /// Bytes in each file: whole pages, such as 1m
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) file_size: u64,
    /// Overwrite whatever is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave a volume that is there as it is, where it has at least so many files of at least this size
    #[arg(long, conflicts_with = "force")]
    pub(crate) if_missing: bool,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// File or block device that all nodes share
    #[arg(long, env = "GLOCKWORK_VOLUME", value_name = "PATH")]
    pub(crate) volume: PathBuf,
    /// What the cluster calls this node; another node of the same name has to be gone
    #[arg(long, env = "GLOCKWORK_NODE_NAME", default_value = "node")]
    pub(crate) name: String,
    /// Where the lock servers are, with commas between them; those that are named need not be all
    #[arg(long, alias = "endpoint", env = "GLOCKWORK_ENDPOINTS", default_value = dlm_client::DEFAULT_ENDPOINT, value_name = "HOST:PORT,...")]
    pub(crate) endpoints: Servers,
    /// Where to take orders (gRPC); port 0 is any
    #[arg(
        long,
        env = "GLOCKWORK_NODE_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,
    /// Where others find this node, when it is not the address that it listens at
    #[arg(long, env = "GLOCKWORK_NODE_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Where to serve metrics and /health over plain HTTP
    #[arg(long, env = "GLOCKWORK_NODE_HTTP_LISTEN", value_name = "ADDRESS")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Take orders in plain text where others can reach it
    #[arg(long, env = "GLOCKWORK_INSECURE")]
    pub(crate) insecure: bool,
    /// Let the storage fail on request, for tests and scenarios
    #[arg(long, env = "GLOCKWORK_ALLOW_FAULTS")]
    pub(crate) allow_faults: bool,
    /// How the servers, and whoever gives orders, are spoken to.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// The volume's lockspace [default: glockwork]
    #[arg(long, env = "GLOCKWORK_LOCKSPACE")]
    pub(crate) lockspace: Option<String>,
    /// The rules that direct I/O follows: block, nofault, try-cycle, ordered
    #[arg(long, default_value_t = Policy::Ordered)]
    pub(crate) policy: Policy,
    /// Minimum hold time of glocks, fixed [default: 2 ms, which adapts]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) hold_ms: Option<u64>,
    /// Export spans to this collector, by OTLP over gRPC, such as http://127.0.0.1:4317: of each page fault, its
    /// glock, and the lock server's grant, where that exports too
    #[arg(long, env = "GLOCKWORK_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Take the demo's orders from standard input
    #[arg(long, hide = true)]
    pub(crate) orders: bool,
}

/// Flags of `workload`.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where the lock servers are, with commas between them; those that are named need not be all
    #[arg(long, env = "GLOCKWORK_ENDPOINTS", default_value = dlm_client::DEFAULT_ENDPOINT, value_name = "HOST:PORT,...")]
    pub(crate) endpoints: Servers,
    /// How they and the nodes are spoken to.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// The workload.
    #[command(flatten)]
    pub(crate) load: WorkloadArguments,
}

/// Flags of whoever speaks TLS.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Speak TLS to servers that show a certificate of this authority, and to whoever gives orders; a file in PEM
    #[arg(long, value_name = "FILE", env = "GLOCKWORK_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The certificate to show; a file in PEM. It takes --tls-ca and --tls-key
    #[arg(long, value_name = "FILE", env = "GLOCKWORK_TLS_CERT", requires_all = ["tls_ca", "tls_key"])]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate; a file in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "GLOCKWORK_TLS_KEY",
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,
}

/// Flags of `lock-server`.
#[derive(Debug, Args)]
pub(crate) struct LockServerArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
}

/// A number from `MIN` to `MAX`.
fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (MIN..=MAX).contains(&number) => Ok(number),
        _ => Err(format!("it is a number in {MIN}..={MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_missing_or_unknown_is_a_usage_error() {
        for (line, kind) in [
            (
                &["fs-node", "mkfs", "v"][..],
                ErrorKind::MissingRequiredArgument,
            ),
            (&["fs-node", "run"], ErrorKind::MissingRequiredArgument),
            (&["fs-node", "demo", "--colour"], ErrorKind::UnknownArgument),
            (&["fs-node", "explode"], ErrorKind::InvalidSubcommand),
            (
                &["fs-node", "run", "--volume", "v", "--listen", "x"],
                ErrorKind::ValueValidation,
            ),
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().kind(),
                kind,
                "{line:?}"
            );
        }
    }
}
