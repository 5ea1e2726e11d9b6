//! From the start of a node to its end.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dlm_client::Tls;
use dlm_client::nodes::{Door, Name};
use fs_node::{Node, NodeConfig, OnWithdraw};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::desk::{Desk, withdraw};
use super::http::Http;
use super::runs::Runs;

/// How long tasks that run may take to end when the node is told to.
const TASKS_END_MAX: Duration = Duration::from_secs(5);

/// How long a node waits for its name before it says so.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// What a node that takes orders needs beyond itself.
pub(crate) struct ServiceConfig {
    /// The node.
    pub(crate) node: NodeConfig,
    /// Where it takes orders.
    pub(crate) listen: SocketAddr,
    /// Where others find that; `None`: at the very address.
    pub(crate) advertise: Option<String>,
    /// Where metrics are served, if they are.
    pub(crate) http_listen: Option<SocketAddr>,
    /// How it is spoken to, where that is not in plain text.
    pub(crate) tls: Option<Tls>,
}

/// Joins the cluster and takes orders, until SIGINT or SIGTERM, or until the session is over.
///
/// # Errors
/// The node's or the socket's, one line.
pub(crate) fn serve(mut config: ServiceConfig) -> anyhow::Result<ExitCode> {
    config.node.on_withdraw = OnWithdraw::new(|why| withdraw(why, None));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("orders")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(until_end(config));
    // Calls that still wait for a task or a lock have nobody to wait for them.
    runtime.shutdown_background();
    ended
}

async fn until_end(config: ServiceConfig) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let door = Door::bind(config.listen).await?;
    let http = match config.http_listen {
        Some(addr) => Some(Http::bind(addr).await?),
        None => None,
    };
    let address = config.advertise.unwrap_or_else(|| door.addr().to_string());
    let (name, servers) = (config.node.name.clone(), config.node.servers.to_string());
    let volume = config.node.volume.display().to_string();

    let joining = async {
        // A node's calls block their thread.
        let node = spawn_blocking(move || Node::start(config.node)).await??;
        let (announcing, at, called) = (node.clone(), address.clone(), name.clone());
        let mut announced = spawn_blocking(move || announcing.announce(&called, &at));
        let presence = match timeout(QUIET_MAX, &mut announced).await {
            Ok(announced) => announced??,
            Err(_) => {
                say(&format!(
                    "waiting for the end of another session called {name}: a predecessor's lease, and its fence"
                ));
                announced.await??
            }
        };
        Ok::<_, anyhow::Error>((node, presence))
    };
    let (node, presence) = tokio::select! {
        joined = joining => joined?,
        // A session that has begun runs out; there is nothing else to leave.
        _ = interrupt.recv() => return Ok(ExitCode::from(crate::EXIT_INTERRUPTED)),
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
    };
    say(&format!(
        "{name} has joined the cluster at {servers} and takes orders at {address}; Ctrl-C ends it"
    ));
    if let Some(http) = &http {
        say(&format!("metrics are at http://{}/metrics", http.addr()));
    }
    let looked_at = node.clone();
    let http = async {
        match http {
            Some(http) => http.serve(looked_at).await,
            None => std::future::pending().await,
        }
    };
    let runs = Runs::new(node.clone());
    let desk = Desk::new(node.clone(), runs.clone(), Name::lossy(&name), volume);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = http => {}
        why = node.lost() => {
            // Whatever was cached under the locks is no more true, and tasks get errors: a new process begins anew.
            anyhow::bail!("{why}; this node's mappings and caches are void, start it again");
        }
        broken = door.serve(Arc::new(desk), config.tls.as_ref()) => {
            broken?;
            anyhow::bail!("nobody can give orders any more");
        }
    }
    spawn_blocking(move || {
        runs.end(TASKS_END_MAX);
        drop(presence);
        node.stop()
    })
    .await??;
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    // Nobody who can be told is there where standard error is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
