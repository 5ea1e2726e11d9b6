//! `dlm node`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use dlm_client::Servers;
use dlm_client::nodes::{
    FoundNode, NodeHandle, NodeStatus, STORE_DELAY_US_MAX, StoreFailure, StoreFault, find,
};
use serde::Serialize;

use crate::error::CommandError;
use crate::table::{Table, seconds};
use crate::{duration, output};

#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// The lockspace of their volume.
    #[arg(long, global = true, value_name = "NAME", default_value = "glockwork")]
    lockspace: String,
    #[command(subcommand)]
    command: NodeCommand,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// List the nodes: where they take orders, what they do, how well their caches serve them.
    List {
        /// As one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Write a node's glocks, in the format of gfs2's debugfs file.
    Glocks {
        /// The node's name.
        node: String,
    },
    /// Have a node stop its volume and end without a goodbye: the cluster fences it.
    Withdraw {
        /// The node's name.
        node: String,
        /// For its log.
        #[arg(long, default_value = "by hand")]
        why: String,
    },
    /// Make the storage under a node fail, or work again; it was started with --allow-faults.
    Store {
        /// The node's name.
        node: String,
        /// What every read and write does.
        #[arg(value_enum)]
        what: Store,
        /// With slow: how much longer each takes.
        #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = delay)]
        delay: Duration,
        /// How long [default: until it is to work again].
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
        lasts: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Store {
    /// It waits.
    Stall,
    /// It takes longer.
    Slow,
    /// It ends with EIO.
    Fail,
    /// It works.
    Works,
}

fn delay(text: &str) -> Result<Duration, String> {
    let delay = duration::parse(text).map_err(|error| error.to_string())?;
    if delay > Duration::from_micros(STORE_DELAY_US_MAX) {
        return Err("give at most 1m".into());
    }
    Ok(delay)
}

/// What there is of a node.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    found: FoundNode,
    /// `None`: it did not answer.
    status: Option<Status>,
}

#[derive(Debug, Serialize)]
struct Status {
    version: String,
    incarnation: u64,
    uptime_us: u64,
    lease_left_us: Option<u64>,
    volume: String,
    inodes: u64,
    inode_bytes: u64,
    policy: &'static str,
    phase: &'static str,
    run: u64,
    store_fault: String,
    glock_requests: u64,
    glock_hits: u64,
    demotions: u64,
    lock_messages: u64,
    page_faults: u64,
    page_fills: u64,
    page_write_backs: u64,
    invalidations: u64,
    io_errors: u64,
}

impl From<NodeStatus> for Status {
    fn from(status: NodeStatus) -> Self {
        let counters = status.counters;
        Self {
            version: status.version,
            incarnation: status.incarnation,
            uptime_us: status.uptime_us,
            lease_left_us: status.lease_left_us,
            volume: status.volume,
            inodes: status.inodes,
            inode_bytes: status.inode_bytes,
            policy: status.policy.name(),
            phase: status.phase.name(),
            run: status.run,
            store_fault: status.store_fault.to_string(),
            glock_requests: counters.glock_requests,
            glock_hits: counters.glock_hits,
            demotions: counters.demotions,
            lock_messages: counters.lock_messages,
            page_faults: counters.faults,
            page_fills: counters.page_fills,
            page_write_backs: counters.page_write_backs,
            invalidations: counters.invalidations,
            io_errors: counters.io_errors,
        }
    }
}

pub(crate) async fn run(servers: &Servers, arguments: &NodeArguments) -> Result<(), CommandError> {
    let found = find(servers, &arguments.lockspace).await?;
    let said = match &arguments.command {
        NodeCommand::List { json } => {
            let nodes = listed(servers, found).await?;
            if *json {
                output::json(&BTreeMap::from([("nodes", nodes)]))
            } else {
                table(&nodes)
            }
        }
        NodeCommand::Glocks { node } => handle(servers, &found, node)?.glocks().await?,
        NodeCommand::Withdraw { node, why } => {
            handle(servers, &found, node)?.withdraw(why).await?;
            format!("{node} withdraws: it ends now, and the cluster fences its session.\n")
        }
        NodeCommand::Store {
            node,
            what,
            delay,
            lasts,
        } => {
            let fault = match what {
                Store::Stall => StoreFault::Stall,
                Store::Slow => StoreFault::Delay { us: us(*delay) },
                Store::Fail => StoreFault::Fail,
                Store::Works => StoreFault::None,
            };
            let for_us = lasts.map(us);
            let failure = StoreFailure { fault, for_us };
            handle(servers, &found, node)?.fail_store(failure).await?;
            let lasts = lasts.map_or_else(String::new, |lasts| format!(", for {lasts:?}"));
            match fault {
                StoreFault::None => format!("The storage of {node} works again.\n"),
                fault => format!("The storage of {node}: {fault}{lasts}.\n"),
            }
        }
    };
    output::write(None, &said)
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn handle(servers: &Servers, found: &[FoundNode], name: &str) -> Result<NodeHandle, CommandError> {
    let Some(node) = found.iter().find(|node| node.name == name) else {
        let there: Vec<&str> = found.iter().map(|node| &node.name[..]).collect();
        let there = if there.is_empty() {
            "none".into()
        } else {
            there.join(", ")
        };
        let wanted = name.to_owned();
        return Err(CommandError::NoNode { wanted, there });
    };
    Ok(NodeHandle::new(&node.name, &node.address, servers.tls())?)
}

/// All of them, asked at once.
async fn listed(servers: &Servers, found: Vec<FoundNode>) -> Result<Vec<Listed>, CommandError> {
    let mut asking = Vec::new();
    for node in found {
        let handle = NodeHandle::new(&node.name, &node.address, servers.tls())?;
        asking.push((node, tokio::spawn(async move { handle.status().await })));
    }
    let mut nodes = Vec::new();
    for (found, status) in asking {
        let status = match status.await.expect("it does not panic") {
            Ok(status) => Some(status.into()),
            Err(error) => {
                eprintln!("dlm: {error}");
                None
            }
        };
        nodes.push(Listed { found, status });
    }
    Ok(nodes)
}

fn table(nodes: &[Listed]) -> String {
    if nodes.is_empty() {
        return "There are no nodes; fs-node run --volume VOLUME --name NAME starts one.\n".into();
    }
    let mut table = Table::new(&[
        ">NODE",
        ">TAKES ORDERS AT",
        "<SESSION",
        "<LEASE LEFT",
        ">WORKLOAD",
        ">POLICY",
        "<GLOCKS GOT",
        "<FROM THE CACHE",
        "<PAGE FAULTS",
        ">STORAGE",
    ]);
    for Listed { found, status } in nodes {
        let silent = || "-".to_owned();
        let of = |what: &dyn Fn(&Status) -> String| status.as_ref().map_or_else(silent, what);
        table.row([
            found.name.clone(),
            found.address.clone(),
            found.session.to_string(),
            of(&|status| status.lease_left_us.map_or_else(|| "over".into(), seconds)),
            of(&|status| status.phase.into()),
            of(&|status| status.policy.into()),
            of(&|status| status.glock_requests.to_string()),
            of(&|status| share(status.glock_hits, status.glock_requests)),
            of(&|status| status.page_faults.to_string()),
            of(&|status| match &status.store_fault[..] {
                "none" => "works".into(),
                fault => fault.into(),
            }),
        ]);
    }
    table.to_string()
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}
