//! One node, asked from outside.

use std::time::Duration;

use dlm_core::cluster::Endpoint;
use glockwork_proto::wire::node_client::NodeClient;
use glockwork_proto::{WireError, convert, render, wire};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::{Errors, Ledger, NODE_MESSAGE_BYTES_MAX, NodeStatus, Report, StoreFailure, Workload};
use crate::endpoints;
use crate::error::{ConnectError, rpc_failure};
use crate::tls::Tls;

/// How long a node may take for what it does at once.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long it may take to write or read its part of the files, where the devices are slow and other nodes in the way.
const WORK_MAX: Duration = Duration::from_secs(120);

/// Why a node did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NodeCallError {
    /// Its address is none.
    #[error(transparent)]
    Address(#[from] ConnectError),
    /// Nobody answers.
    #[error("{node} at {address} cannot be reached: {why}")]
    Unreachable {
        /// Its name.
        node: String,
        /// Where it was looked for.
        address: String,
        /// What the transport says.
        why: String,
    },
    /// It took the question and says nothing.
    #[error("{node} at {address} does not answer; is it stopped, or cut off?")]
    Late {
        /// Its name.
        node: String,
        /// Where it was looked for.
        address: String,
    },
    /// It will not.
    #[error("{node} says: {why}")]
    Refused {
        /// Its name.
        node: String,
        /// What it says.
        why: String,
    },
    /// What it says means nothing.
    #[error("the answer of {node} means nothing: {why}; is it newer?")]
    Answer {
        /// Its name.
        node: String,
        /// What is wrong with it.
        why: WireError,
    },
}

impl NodeCallError {
    /// Whether it is not known if the node is there at all.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. })
    }
}

/// A node. Cheap to clone; connects when it is used, and again when that broke.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    name: String,
    address: String,
    client: NodeClient<Channel>,
}

impl NodeHandle {
    /// The node that is called `name`, at `address`, `HOST:PORT`.
    ///
    /// # Errors
    /// [`NodeCallError::Address`].
    pub fn new(name: &str, address: &str, tls: Option<&Tls>) -> Result<Self, NodeCallError> {
        let endpoint = Endpoint::lossy(address);
        let channel = endpoints::transport(&endpoint, tls)?.connect_lazy();
        let client = NodeClient::new(channel)
            .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(NODE_MESSAGE_BYTES_MAX);
        Ok(Self {
            name: name.to_owned(),
            address: address.to_owned(),
            client,
        })
    }

    /// What the cluster calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// [`NodeCallError`]; so for all that follows.
    pub async fn status(&self) -> Result<NodeStatus, NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.status(wire::NodeStatusRequest {});
        let reply = self.answer(ANSWER_MAX, asking).await?;
        convert::node_status(reply).map_err(|why| self.unreadable(why))
    }

    /// Has it write its part of the files. Says what was wrong there.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn prepare(&self, workload: &Workload) -> Result<Errors, NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.prepare_workload(render::workload(workload));
        let reply = self.answer(WORK_MAX, asking).await?;
        Ok(convert::workload_errors(reply.found))
    }

    /// Lets the prepared tasks go: for as long as was said when they were prepared, or for this many microseconds.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn start(&self, run: u64, length_us: Option<u64>) -> Result<(), NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.start_workload(wire::StartWorkloadRequest { run, length_us });
        self.answer(ANSWER_MAX, asking).await.map(drop)
    }

    /// What it does, from the interval `from` on, and then its result.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn watch(&self, run: u64, from: u64) -> Result<Reports, NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.watch_workload(wire::WatchWorkloadRequest { run, from });
        let stream = self.answer(ANSWER_MAX, asking).await?;
        Ok(Reports {
            node: self.clone(),
            stream,
        })
    }

    /// Ends its tasks; with `interrupt` also those that wait for locks.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn stop(&self, run: u64, interrupt: bool) -> Result<(), NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.stop_workload(wire::StopWorkloadRequest { run, interrupt });
        self.answer(ANSWER_MAX, asking).await.map(drop)
    }

    /// Has it read what others wrote. Says what was wrong.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn verify(&self, run: u64, ledgers: Vec<Ledger>) -> Result<Errors, NodeCallError> {
        let mut client = self.client.clone();
        let ledgers = render::ledgers(ledgers);
        let asking = client.verify_workload(wire::VerifyWorkloadRequest { run, ledgers });
        let reply = self.answer(WORK_MAX, asking).await?;
        Ok(convert::workload_errors(reply.found))
    }

    /// Its glocks, in the format of gfs2's debugfs file.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn glocks(&self) -> Result<String, NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.glocks(wire::NodeGlocksRequest {});
        let mut pieces = self.answer(ANSWER_MAX, asking).await?;
        let mut text = String::new();
        while let Some(piece) = self.next(&mut pieces).await? {
            text.push_str(&piece.text);
        }
        Ok(text)
    }

    /// Has it stop its volume and end.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn withdraw(&self, why: &str) -> Result<(), NodeCallError> {
        let mut client = self.client.clone();
        let why = why.to_owned();
        let asking = client.withdraw(wire::WithdrawRequest { why });
        self.answer(ANSWER_MAX, asking).await.map(drop)
    }

    /// Makes the storage under it fail, or work again.
    ///
    /// # Errors
    /// See [`Self::status`].
    pub async fn fail_store(&self, failure: StoreFailure) -> Result<(), NodeCallError> {
        let mut client = self.client.clone();
        let asking = client.fail_store(render::store_failure(failure));
        self.answer(ANSWER_MAX, asking).await.map(drop)
    }

    async fn answer<T>(
        &self,
        within: Duration,
        asking: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, NodeCallError> {
        match timeout(within, asking).await {
            Ok(Ok(reply)) => Ok(reply.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(NodeCallError::Late {
                node: self.name.clone(),
                address: self.address.clone(),
            }),
        }
    }

    async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, NodeCallError> {
        stream
            .message()
            .await
            .map_err(|status| self.failed(&status))
    }

    fn failed(&self, status: &Status) -> NodeCallError {
        let (node, why) = (self.name.clone(), rpc_failure(status));
        // What the other side says has no source; what the transport finds out has.
        if std::error::Error::source(status).is_some() || status.code() == tonic::Code::Unavailable
        {
            let address = self.address.clone();
            NodeCallError::Unreachable { node, address, why }
        } else {
            NodeCallError::Refused { node, why }
        }
    }

    fn unreadable(&self, why: WireError) -> NodeCallError {
        let node = self.name.clone();
        NodeCallError::Answer { node, why }
    }
}

/// What a node says while it runs a workload.
#[derive(Debug)]
pub struct Reports {
    node: NodeHandle,
    stream: Streaming<wire::WorkloadReport>,
}

impl Reports {
    /// The next report; `None` at the end, which comes after the result.
    ///
    /// # Errors
    /// [`NodeCallError`]: the node is gone, or cut off, or says what means nothing.
    pub async fn next(&mut self) -> Result<Option<Report>, NodeCallError> {
        let Some(report) = self.node.next(&mut self.stream).await? else {
            return Ok(None);
        };
        let report = convert::workload_report(report);
        report.map(Some).map_err(|why| self.node.unreadable(why))
    }
}
