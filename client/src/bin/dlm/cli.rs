//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use dlm_client::{ConnectError, DEFAULT_ENDPOINT, Mode, Servers, Tls};

use crate::caches::{self, CachesArguments};
use crate::dump::{self, DumpArguments};
use crate::duration;
use crate::evict::EvictArguments;
use crate::fault::{self, FaultArguments};
use crate::fence::FenceArguments;
use crate::graph::{self, GraphArguments};
use crate::health::HealthArguments;
use crate::history::{self, HistoryArguments};
use crate::locks::{self, LocksArguments};
use crate::lockspaces::LockspacesArguments;
use crate::manual::{self, CompletionsArguments, ManualArguments};
use crate::node::NodeArguments;
use crate::purge::PurgeArguments;
use crate::server::ServerArguments;
use crate::sessions::SessionsArguments;
use crate::top::{self, TopArguments};
use crate::watch::{self, WatchArguments};
use dlm_client::workload::WorkloadArguments;

/// The lockspace of commands that do not name one.
const DEFAULT_LOCKSPACE: &str = "default";

/// Runs commands under locks of a Glockwork lock server, and looks at its locks.
#[derive(Debug, Parser)]
#[command(name = "dlm", version, max_term_width = 100, after_long_help = manual::after_help())]
pub(crate) struct Cli {
    /// The lock servers, with commas between them; those that are named need not be all, nor all be up.
    #[arg(
        long,
        alias = "endpoint",
        global = true,
        value_name = "HOST:PORT,...",
        env = "GLOCKWORK_ENDPOINTS",
        default_value = DEFAULT_ENDPOINT
    )]
    endpoints: Servers,

    /// Speak TLS to servers that show a certificate of this authority; a file in PEM.
    #[arg(long, global = true, value_name = "FILE", env = "GLOCKWORK_TLS_CA")]
    tls_ca: Option<PathBuf>,

    /// The certificate to show to the servers; a file in PEM. It takes --tls-ca and --tls-key.
    #[arg(long, global = true, value_name = "FILE", env = "GLOCKWORK_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The key of that certificate; a file in PEM.
    #[arg(long, global = true, value_name = "FILE", env = "GLOCKWORK_TLS_KEY")]
    tls_key: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command while a lock is held.
    ///
    /// The lock is waited for, then the command runs, and its exit status is passed on. If the lock is
    /// about to be lost, the command and whatever else is in its process group is ended: SIGTERM, and
    /// SIGKILL two seconds later, but in any case before the cluster may give the lock to others.
    #[command(after_long_help = LOCK_HELP)]
    Lock(LockArguments),
    /// Show who holds, who waits, and who waits for each other, down to the task.
    ///
    /// A deadlock is shown only if it is still there, edge for edge, when looked at again.
    #[command(after_long_help = graph::HELP)]
    Graph(GraphArguments),
    /// Show what happens most, who waits longest and what nodes cache, on the whole screen.
    #[command(after_long_help = top::HELP)]
    Top(TopArguments),
    /// Show what happens to locks, as it happens, until it is ended.
    #[command(after_long_help = watch::HELP)]
    Watch(WatchArguments),
    /// Show what happened to a resource last.
    #[command(after_long_help = history::HELP)]
    History(HistoryArguments),
    /// Show how the cluster is: servers, sessions, slots, locks, and what waits for what.
    Status(StatusArguments),
    /// List the sessions, with what is left of their leases and what they hold.
    Sessions(SessionsArguments),
    /// List every lock, held or waited for.
    #[command(after_long_help = locks::HELP)]
    Locks(LocksArguments),
    /// List the lockspaces: what they are like, who has them open, how many locks they have.
    Lockspaces(LockspacesArguments),
    /// List what the nodes cache, and how often that saved them a message.
    #[command(after_long_help = caches::HELP)]
    Caches(CachesArguments),
    /// Write all there is in the formats of fs/dlm and gfs2, for their tools, or as JSON.
    #[command(after_long_help = dump::HELP)]
    Dump(DumpArguments),
    /// Take away the locks that ended tasks of a session left behind.
    Purge(PurgeArguments),
    /// Declare a session dead: it gets nothing more, and its locks go when it is fenced.
    Evict(EvictArguments),
    /// Look after the fences of dead nodes.
    Fence(FenceArguments),
    /// Ask a server, a node or a fence agent whether it serves: for health checks.
    Health(HealthArguments),
    /// Add, remove and list the servers of the cluster.
    Server(ServerArguments),
    /// Cut the network between members of a cluster, or make it slow or lossy; for tests.
    #[command(after_long_help = fault::HELP)]
    Fault(FaultArguments),
    /// List the filesystem nodes, and give them orders.
    Node(NodeArguments),
    /// Run a workload on the filesystem nodes of the cluster, all at once; print, plot and keep what comes of it.
    #[command(after_long_help = WORKLOAD_HELP)]
    Workload(Box<WorkloadArguments>),
    /// Write the completions of a shell to standard output.
    Completions(CompletionsArguments),
    /// Write the manual page to standard output: `dlm manual | man -l -`.
    Manual(ManualArguments),
}

const WORKLOAD_HELP: &str = "\
Examples:
  dlm workload --policy ordered --seconds 30
  dlm workload --compare --seconds 10                    # all policies, side by side
  dlm workload --scenario deploy/scenarios/node-cut.toml --control deploy/cluster
  dlm workload report runs/*                             # of runs that were kept

Exit status:
  0     the verdict is clean: no data errors, no lock held by two, no session lost without a reason
  1     it is not, or there is no result
  2     usage
  130   interrupted; faults are undone and the nodes told to end";

const LOCK_HELP: &str = "\
Environment of the command:
  GLOCKWORK_LOCKSPACE, GLOCKWORK_LOCK, GLOCKWORK_MODE
                    what is locked, and how
  GLOCKWORK_TOKEN   fencing token: larger than that of every earlier grant that excludes this one
  GLOCKWORK_VALUE   the lock's value block in hexadecimal, where one was stored
  GLOCKWORK_VALUE_VALID
                    beside it: 1, or 0 if whoever could write it last was lost

When no server answers any more:
  The session ends 4.5 s after it was last renewed, half a second before its lease in the cluster
  (of 5 s, unless the servers were told otherwise). SIGTERM comes a quarter of that before the end,
  SIGKILL at the end. An outage of two seconds goes unnoticed.

Exit status:
  the command's     when it ran to its end; 128 and the signal's number when a signal ended it
  1                 no server, the command could not be started, or the lock was lost
  2                 usage
  75                the lock could not be had, with --try or --timeout";

#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    /// The lock's name: up to 64 bytes of anything.
    #[arg(value_name = "NAME")]
    pub(crate) name: OsString,

    /// NL, CR, CW, PR, PW or EX.
    #[arg(long, short, default_value = "EX", value_parser = mode)]
    pub(crate) mode: Mode,

    /// The lockspace; one that does not exist is made.
    #[arg(
        long,
        value_name = "NAME",
        default_value = DEFAULT_LOCKSPACE,
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub(crate) lockspace: String,

    /// Do not wait for others: exit with 75 if the lock cannot be had at once.
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) r#try: bool,

    /// Wait no longer than this (500ms, 5s, 2m, 1h), then exit with 75.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,

    /// What to run, with its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// As one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    /// The servers, and how they are spoken to.
    ///
    /// # Errors
    /// [`ConnectError::Tls`]. Options that do not go together are told and end the process, as clap does: it
    /// does not look at options of the whole program together with those of a command.
    pub(crate) fn servers(&self) -> Result<Servers, ConnectError> {
        let servers = self.endpoints.clone();
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => usage("--tls-cert and --tls-key go together"),
        };
        match &self.tls_ca {
            Some(ca) => Ok(servers.with_tls(Tls::read(ca, identity)?)),
            None if identity.is_none() => Ok(servers),
            None => usage("--tls-cert takes --tls-ca, by which the servers are known"),
        }
    }
}

pub(crate) fn usage(why: &str) -> ! {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, why)
        .exit()
}

fn mode(text: &str) -> Result<Mode, String> {
    let named = |mode: &Mode| mode.name().eq_ignore_ascii_case(text);
    let mode = Mode::ALL.into_iter().find(named);
    mode.ok_or_else(|| "the modes are NL, CR, CW, PR, PW and EX".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for bad in [
            &[][..],
            &["graphs"],
            &["graph", "--format", "png"],
            &["graph", "--format", "svg", "--json"],
            &["graph", "--lockspace", ""],
            &["graph", "--waits-longer-than", "5"],
            &["graph", "--watch", "0"],
            &["top", "--size", "80x25"],
            &["top", "--once", "--size", "80"],
            &["watch", "--kind", "stolen"],
            &["watch", "--kind", ""],
            &["history", "volume"],
            &["history", "", "name"],
            &["status", "--format", "text"],
            &["locks", "--lockspace", ""],
            &["lockspaces", "name"],
            &["dump", "--format", "xml"],
            &["dump", "--format", "gfs2", "--json"],
            &["dump", "--tree", "x", "--file", "all"],
            &["dump", "--tree", "x", "--output", "y"],
            &["purge", "--lockspace", "x"],
            &["purge", "--session", "x"],
            &[
                "purge",
                "--lockspace",
                "x",
                "--session",
                "x",
                "--owner",
                "y",
            ],
            &["evict"],
            &["fence", "node1"],
            &["fence", "confirm"],
            &["fence", "call", "a:1", "0", "node1"],
            &["fence", "call", "a:1", "7", ""],
            &["fence", "agent", "--action", "explode"],
            &["health", "nowhere"],
            &["server", "add", "4"],
            &["server", "add", "0", "a:1"],
            &["server", "add", "4", "a"],
            &["server", "remove", "all"],
            &["fault"],
            &["fault", "partition"],
            &["fault", "partition", "1"],
            &["fault", "partition", "1,1"],
            &["fault", "partition", "1,2", "50ms"],
            &["fault", "delay", "1,2"],
            &["fault", "delay", "1,2", "2m"],
            &["fault", "stall", "1,2", "--for", "5"],
            &["fault", "list", "1,2"],
            &["fault", "heal", "a,b"],
            &["completions", "tcsh"],
            &["completions"],
            &["status", "--endpoints", "nowhere"],
            &["status", "--endpoints", "a:1,,b:1"],
            &["lock", "name"],
            &["lock", "--", "true"],
            &["lock", "name", "true"],
            &["lock", "name", "--mode", "XX", "--", "true"],
            &["lock", "name", "--timeout", "5", "--", "true"],
            &["lock", "name", "--try", "--timeout", "5s", "--", "true"],
        ] {
            let error = Cli::try_parse_from([&["dlm"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn the_endpoints_may_stand_anywhere() {
        for line in [
            ["--endpoints", "a:1,b:2", "status"],
            ["status", "--endpoints", "a:1,b:2"],
            ["status", "--endpoint", "a:1,b:2"],
        ] {
            let cli = Cli::try_parse_from([&["dlm"][..], &line].concat()).unwrap();
            assert_eq!(cli.servers().unwrap().to_string(), "a:1,b:2");
        }
    }

    #[test]
    fn files_that_are_not_there_are_named() {
        let line = ["dlm", "status", "--tls-ca", "/nowhere/ca.pem"];
        let cli = Cli::try_parse_from(line).unwrap();
        let error = cli.servers().unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }
}
