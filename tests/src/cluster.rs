//! A cluster in one process: a lock server and any number of nodes on one volume, over loopback.

use std::net::SocketAddr;
use std::path::PathBuf;

use dlm_client::{HoldTime, Servers};
use dlm_server::embedded::Server;
use fs_core::flat::Layout;
use fs_node::{CACHE_PAGES_DEFAULT, FlatVolume, Node, NodeConfig, NodeError, OnWithdraw, Policy};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A lock server, a volume, and nodes. Everything goes when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    server: Option<Server>,
    runtime: Option<Runtime>,
    endpoint: String,
}

impl Cluster {
    /// A lock server on a free port, and a volume of `inodes` files of `inode_bytes` each.
    ///
    /// # Panics
    /// If one of them cannot be had.
    #[must_use]
    pub fn new(inodes: u64, inode_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = Layout {
            volume: 1,
            inodes,
            inode_bytes,
        };
        FlatVolume::format(&dir.path().join("volume"), layout, false).expect("a volume");
        let runtime = Runtime::new().expect("a runtime");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(Server::start(any)).expect("a lock server");
        let endpoint = server.addr().to_string();
        Self {
            dir,
            server: Some(server),
            runtime: Some(runtime),
            endpoint,
        }
    }

    /// Where the lock server is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The volume's file.
    #[must_use]
    pub fn volume(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    /// What a node of this cluster is started with.
    #[must_use]
    pub fn config(&self, name: &str, policy: Policy) -> NodeConfig {
        NodeConfig {
            name: name.to_owned(),
            volume: self.volume(),
            servers: servers(&self.endpoint),
            lockspace: "test".to_owned(),
            policy,
            hold: HoldTime::default(),
            cache_pages_max: CACHE_PAGES_DEFAULT,
            allow_faults: true,
            on_withdraw: OnWithdraw::default(),
        }
    }

    /// A node.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn node(&self, name: &str, policy: Policy) -> Node {
        self.try_node(name, policy).expect("a node")
    }

    /// A node, or why not.
    ///
    /// # Errors
    /// What starting it said.
    pub fn try_node(&self, name: &str, policy: Policy) -> Result<Node, NodeError> {
        Node::start(self.config(name, policy))
    }

    /// `count` nodes: `node1`, `node2`, …
    #[must_use]
    pub fn nodes(&self, count: usize, policy: Policy) -> Vec<Node> {
        (1..=count)
            .map(|number| self.node(&format!("node{number}"), policy))
            .collect()
    }

    /// The lock graph.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn graph(&self) -> dlm_client::graph::GraphSnapshot {
        let runtime = self.runtime.as_ref().expect("running");
        runtime
            .block_on(dlm_client::inspect::graph(&servers(&self.endpoint)))
            .expect("the lock graph")
    }

    /// Stops the lock server while the nodes run.
    pub fn stop_server(&mut self) {
        if let (Some(server), Some(runtime)) = (self.server.take(), &self.runtime) {
            runtime.block_on(server.stop());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_server();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The lock graph as text, or why there is none.
#[must_use]
pub fn graph_text(endpoint: &str) -> String {
    let Ok(runtime) = Runtime::new() else {
        return "no runtime".to_owned();
    };
    match runtime.block_on(dlm_client::inspect::graph(&servers(endpoint))) {
        Ok(graph) => dlm_client::graph::text::render(&graph),
        Err(error) => error.to_string(),
    }
}

fn servers(endpoint: &str) -> Servers {
    Servers::parse(endpoint).expect("an endpoint")
}
