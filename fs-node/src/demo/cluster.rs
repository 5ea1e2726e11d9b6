//! The demo's cluster: a lock server and nodes, each a process, on loopback.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::DemoError;
use super::process::{Process, Said};
use super::protocol::{Event, Order};

/// How long a process may take until it is ready.
const START_WAIT: Duration = Duration::from_secs(20);

/// What all nodes of a cluster have in common.
#[derive(Clone, Debug)]
pub(crate) struct NodeSettings {
    /// The shared volume.
    pub(crate) volume: PathBuf,
    /// How many nodes.
    pub(crate) nodes: usize,
    /// A fixed minimum hold time in milliseconds, where the default is not wanted.
    pub(crate) hold_ms: Option<u64>,
}

/// The processes.
#[derive(Debug)]
pub(crate) struct Cluster {
    server: Process,
    endpoint: String,
    nodes: Vec<Process>,
    inbox: mpsc::UnboundedReceiver<(usize, Said)>,
    /// A node that closed its output.
    gone: Option<usize>,
}

impl Cluster {
    /// Starts the lock server on a free port of the loopback interface.
    ///
    /// # Errors
    /// [`DemoError::Start`], [`DemoError::Died`].
    pub(crate) async fn start() -> Result<Self, DemoError> {
        let (sender, mut output) = mpsc::unbounded_channel();
        let arguments = ["lock-server", "--listen", "127.0.0.1:0"].map(OsString::from);
        let name = "the lock server".to_owned();
        let mut server = Process::start(name, &arguments, 0, sender).map_err(DemoError::Start)?;
        let (_sender, inbox) = mpsc::unbounded_channel();
        match timeout(START_WAIT, output.recv()).await {
            Ok(Some((_, Said::Line(endpoint)))) => Ok(Self {
                server,
                endpoint,
                nodes: Vec::new(),
                inbox,
                gone: None,
            }),
            Ok(_) => Err(died(&mut server).await),
            Err(_) => Err(DemoError::Silent {
                name: server.name().into(),
            }),
        }
    }

    /// Where the lock server is.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Starts the nodes and waits until all have joined.
    ///
    /// # Errors
    /// [`DemoError::Start`], [`DemoError::Died`], [`DemoError::Silent`].
    pub(crate) async fn start_nodes(&mut self, settings: &NodeSettings) -> Result<(), DemoError> {
        let (sender, inbox) = mpsc::unbounded_channel();
        self.inbox = inbox;
        self.gone = None;
        for number in 0..settings.nodes {
            let name = format!("node{number}");
            let mut arguments: Vec<OsString> = ["run", "--orders", "--name", &name]
                .into_iter()
                .chain(["--endpoint", &self.endpoint, "--volume"])
                .map(OsString::from)
                .collect();
            arguments.push(settings.volume.clone().into());
            if let Some(hold_ms) = settings.hold_ms {
                arguments.extend(["--hold-ms".into(), hold_ms.to_string().into()]);
            }
            let node = Process::start(name, &arguments, number, sender.clone());
            self.nodes.push(node.map_err(DemoError::Start)?);
        }
        self.wait_for_all(START_WAIT, |event| matches!(event, Event::Ready))
            .await?;
        Ok(())
    }

    /// Waits until every node has said something that `wanted` accepts; hands those events back by
    /// node.
    ///
    /// # Errors
    /// [`DemoError::Died`]; [`DemoError::Silent`] when `patience` has run out.
    pub(crate) async fn wait_for_all(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>, DemoError> {
        let mut missing: BTreeSet<usize> = (0..self.nodes.len()).collect();
        let mut events = Vec::new();
        while let Some(&first) = missing.first() {
            let Ok(next) = timeout(patience, self.next()).await else {
                return Err(DemoError::Silent {
                    name: self.nodes[first].name().into(),
                });
            };
            let (number, event) = next?;
            if wanted(&event) && missing.remove(&number) {
                events.push((number, event));
            }
        }
        events.sort_by_key(|(number, _)| *number);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// The next thing that a node says. Loses nothing where the future is dropped.
    ///
    /// # Errors
    /// [`DemoError::Died`] for a node or the server; [`DemoError::Garbled`].
    pub(crate) async fn next(&mut self) -> Result<(usize, Event), DemoError> {
        while self.gone.is_none() {
            let said = tokio::select! {
                biased;
                _ = self.server.ended() => return Err(died(&mut self.server).await),
                said = self.inbox.recv() => said,
            };
            match said {
                Some((number, Said::Line(line))) => {
                    let event = serde_json::from_str(&line);
                    return event.map(|event| (number, event)).map_err(|source| {
                        DemoError::Garbled {
                            name: format!("node{number}"),
                            source,
                        }
                    });
                }
                // Kept, so that it is not forgotten where the caller stops waiting for its last words.
                Some((number, Said::Ended)) => self.gone = Some(number),
                None => return Err(DemoError::Start(io::ErrorKind::BrokenPipe.into())),
            }
        }
        Err(self.lost(self.gone.unwrap_or_default()).await)
    }

    /// Gives all nodes an order of their own.
    ///
    /// # Errors
    /// [`DemoError::Died`].
    pub(crate) async fn order(&mut self, order: impl Fn(usize) -> Order) -> Result<(), DemoError> {
        for number in 0..self.nodes.len() {
            let line = serde_json::to_string(&order(number)).expect("an order is plain data");
            if self.nodes[number].send(line).await.is_err() {
                return Err(self.lost(number).await);
            }
        }
        Ok(())
    }

    /// Stops all nodes: they write back and release what they hold.
    ///
    /// # Errors
    /// [`DemoError::Died`] for one that did not end well, [`DemoError::Hangs`] for one that was killed.
    pub(crate) async fn stop_nodes(&mut self) -> Result<(), DemoError> {
        let mut first_error = None;
        for mut node in self.nodes.drain(..) {
            let error = match node.stop().await {
                Some(status) if status.success() => continue,
                Some(_) => died(&mut node).await,
                None => DemoError::Hangs {
                    name: node.name().into(),
                },
            };
            first_error.get_or_insert(error);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Ends everything, whatever state it is in.
    pub(crate) async fn end(mut self) {
        // All are told at once, so that the whole takes one grace period and not one each.
        let nodes = self.nodes.drain(..).map(|mut node| {
            tokio::spawn(async move {
                node.stop().await;
            })
        });
        for node in nodes.collect::<Vec<_>>() {
            // It ends in any case; a panic of it has been printed.
            let _ = node.await;
        }
        self.server.stop().await;
    }

    /// Why a node is gone: where the server is gone too, that is why.
    async fn lost(&mut self, number: usize) -> DemoError {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if self.server.has_ended() {
            return died(&mut self.server).await;
        }
        died(&mut self.nodes[number]).await
    }
}

async fn died(process: &mut Process) -> DemoError {
    DemoError::Died {
        name: process.name().into(),
        how: process.epitaph().await,
    }
}
