//! Filesystem nodes as processes, beside lock servers.

use std::path::{Path, PathBuf};

use dlm_client::nodes::{self, FoundNode, NodeHandle};
use tokio::process::Command;
use tokio::time::{Duration, sleep};

use super::{Binaries, Process, Servers};

/// The lockspace of a volume whose nodes are given none.
const LOCKSPACE: &str = "glockwork";

/// Some nodes, and the volume that they share.
#[derive(Debug)]
pub struct Nodes {
    volume: PathBuf,
    dir: PathBuf,
    endpoints: String,
    arguments: Vec<String>,
    processes: Vec<Process>,
}

impl Nodes {
    /// Starts so many, called `node1` and so on, on a volume of so many files; each with these further arguments.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn start(
        servers: &Servers,
        count: usize,
        (files, file_size): (usize, &str),
        arguments: &[&str],
    ) -> Self {
        let volume = servers.dir().join("volume");
        let made = Command::new(Binaries::built().path("fs-node"))
            .args(["mkfs", "--files", &files.to_string()])
            .args(["--file-size", file_size])
            .arg(&volume)
            .status()
            .await
            .expect("a program");
        assert!(made.success());
        let mut nodes = Self {
            volume,
            dir: servers.dir().to_owned(),
            endpoints: servers.endpoint(1),
            arguments: arguments.iter().copied().map(str::to_owned).collect(),
            processes: Vec::new(),
        };
        for number in 1..=count {
            let process = nodes.spawn(number);
            nodes.processes.push(process);
        }
        nodes
    }

    fn spawn(&self, number: usize) -> Process {
        let name = format!("node{number}");
        let mut run = Command::new(Binaries::built().path("fs-node"));
        run.args(["run", "--name", &name])
            .args(["--endpoints", &self.endpoints])
            .args(&self.arguments)
            .arg("--volume")
            .arg(&self.volume);
        let log = self.dir.join(format!("{name}.log"));
        Process::start(&name, &mut run, &log).expect("a node")
    }

    /// The volume that they share.
    #[must_use]
    pub fn volume(&self) -> &Path {
        &self.volume
    }

    /// The process of a node, counted from 1.
    pub fn process(&mut self, number: usize) -> &mut Process {
        &mut self.processes[number - 1]
    }

    /// Starts the process of a node again, which has ended.
    pub fn start_again(&mut self, number: usize) {
        self.processes[number - 1] = self.spawn(number);
    }

    /// Waits until so many are found in the cluster, and none of them has a session out of `not`.
    ///
    /// # Panics
    /// If the cluster cannot be asked; if a node ends meanwhile.
    pub async fn found(&mut self, count: usize, not: &[u64]) -> Vec<FoundNode> {
        let servers = dlm_client::Servers::parse(&self.endpoints).expect("an endpoint");
        loop {
            // A cluster that is just being founded has no lockspace yet.
            let found = nodes::find(&servers, LOCKSPACE).await.unwrap_or_default();
            if found.len() == count && !found.iter().any(|node| not.contains(&node.session)) {
                return found;
            }
            let mut ended = Vec::new();
            for process in &mut self.processes {
                if process.ended().is_some() {
                    ended.push(process.last_words());
                }
            }
            assert!(self.processes.len() - ended.len() >= count, "{ended:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ways to all of them.
    ///
    /// # Panics
    /// As [`Self::found`].
    pub async fn handles(&mut self, count: usize) -> Vec<NodeHandle> {
        let found = self.found(count, &[]).await;
        let handle = |node: &FoundNode| NodeHandle::new(&node.name, &node.address, None);
        found
            .iter()
            .map(|node| handle(node).expect("a node"))
            .collect()
    }
}
