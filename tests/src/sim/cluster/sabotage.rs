//! Faults put into a cluster on purpose, to see that they are found.
//!
//! Each is put in where the world meets a machine: what a process is told, or says, is not what it should
//! be. The machines themselves know nothing of it.

use dlm_core::Tick;
use dlm_core::call::{Call, CallAnswer};
use dlm_core::link::{FromServer, Hello, ToServer};
use dlm_core::{ServerId, SessionId};
use dlm_server::node::{Input as NodeInput, Node, StreamId};

use super::super::ProcessId;
use super::super::process::Birth;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A client that believes its lease to be longer than it is.
    LongLease,
}

/// What is wrong with a server.
#[derive(Clone, Debug)]
pub(super) struct AtServer {
    what: Option<Sabotage>,
}

impl AtServer {
    pub(super) const fn new(what: Option<Sabotage>) -> Self {
        Self { what }
    }

    /// What the process calls itself.
    pub(super) fn nonce(&self, birth: Birth) -> u128 {
        birth.seed.into()
    }

    /// What it is told with a tick.
    pub(super) fn tick(&self, _now: Tick, _node: &Node, _id: ServerId) -> Vec<NodeInput> {
        Vec::new()
    }

    /// What a call is answered before anybody was asked.
    pub(super) fn answers(&self, _node: &Node, _asked: &Call) -> Option<CallAnswer> {
        None
    }

    /// A stream was opened.
    pub(super) fn opened(&mut self, _hello: &Hello, _stream: StreamId) {}

    /// What it hears of a message.
    pub(super) fn hears(
        &mut self,
        _session: SessionId,
        stream: StreamId,
        message: ToServer,
    ) -> Vec<(StreamId, ToServer)> {
        vec![(stream, message)]
    }

    /// What is left of what it says.
    pub(super) fn says(
        &mut self,
        _session: SessionId,
        message: FromServer,
        _node: &Node,
    ) -> FromServer {
        message
    }
}

/// What is wrong with a client.
#[derive(Clone, Debug)]
pub(super) struct AtClient {
    what: Option<Sabotage>,
}

impl AtClient {
    pub(super) const fn new(what: Option<Sabotage>, _id: ProcessId) -> Self {
        Self { what }
    }

    /// What it hears of an answer.
    pub(super) fn answer(&self, answer: CallAnswer) -> CallAnswer {
        match (self.what, answer) {
            (
                Some(Sabotage::LongLease),
                CallAnswer::Joined {
                    session,
                    joined,
                    version,
                    lease_us,
                },
            ) => CallAnswer::Joined {
                session,
                joined,
                version,
                lease_us: lease_us + 600_000,
            },
            (_, answer) => answer,
        }
    }

    /// What it hears of a message.
    pub(super) fn hears(&self, message: FromServer) -> FromServer {
        message
    }

    /// What is left of what it says.
    pub(super) fn says(&self, message: ToServer) -> ToServer {
        message
    }
}
