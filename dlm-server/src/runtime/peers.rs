//! The other servers, as far as this one talks to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dlm_core::ServerId;
use dlm_core::cluster::{ClusterState, Endpoint};
use glockwork_proto::peer::{PeerFrame, PeerHello};
use glockwork_proto::{render, wire};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::dial::{self, Dial};
use super::outbox::{Outbox, Queue};
use crate::node::PeerMessage;

/// The most messages that wait for one server. What is too much is lost from the front: everything that
/// servers say to each other is said again where it matters.
const MESSAGES_QUEUED_MAX: usize = 4096;

/// What waits for one server.
#[derive(Debug, Default)]
pub(super) struct PeerQueue {
    /// What the stream begins with, once it begins.
    hello: Option<PeerHello>,
    messages: VecDeque<PeerMessage>,
}

impl PeerQueue {
    /// For a stream that begins with this.
    pub(super) fn new(hello: PeerHello) -> Self {
        Self {
            hello: Some(hello),
            ..Self::default()
        }
    }
}

impl Queue for PeerQueue {
    type Item = wire::PeerFrame;

    fn take(&mut self) -> Option<wire::PeerFrame> {
        let hello = self.hello.take();
        if hello.is_some() {
            return Some(render::peer_frame(PeerFrame {
                hello,
                ..PeerFrame::default()
            }));
        }
        while !self.messages.is_empty() {
            match PeerFrame::of_queue(&mut self.messages) {
                Ok(frame) => return Some(render::peer_frame(frame)),
                Err(error) => warn!("{error}"),
            }
        }
        None
    }
}

/// One of them.
#[derive(Debug)]
struct Peer {
    /// The queue of the connection that there is, or is tried.
    outbox: watch::Receiver<Arc<Outbox<PeerQueue>>>,
    endpoint: watch::Sender<Endpoint>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Peers {
    dial: Dial,
    /// Where they were said to be, by the configuration or by themselves, before the cluster said it.
    heard: BTreeMap<ServerId, Endpoint>,
    peers: BTreeMap<ServerId, Peer>,
    /// Those that the cluster had when last looked at.
    members: BTreeSet<ServerId>,
}

impl Peers {
    pub(super) fn new(dial: Dial, heard: BTreeMap<ServerId, Endpoint>) -> Self {
        let mut peers = Self {
            dial,
            heard: BTreeMap::new(),
            peers: BTreeMap::new(),
            members: BTreeSet::new(),
        };
        for (server, endpoint) in heard {
            peers.heard_of(server, endpoint);
        }
        peers
    }

    /// A server says where it is. The cluster's own word goes before that.
    pub(super) fn heard_of(&mut self, server: ServerId, endpoint: Endpoint) {
        if server != self.dial.ours.server && !self.peers.contains_key(&server) {
            self.found_at(server, endpoint.clone());
        }
        self.heard.insert(server, endpoint);
    }

    /// Goes by what the cluster says now. Servers that it does not have any more are left alone as long as
    /// nobody says anything to them; one that it does not have yet may be about to be added.
    pub(super) fn heed(&mut self, state: &ClusterState) {
        for (&server, known) in state.servers() {
            if server != self.dial.ours.server {
                self.found_at(server, known.peer_endpoint.clone());
            }
        }
        let members: BTreeSet<ServerId> = state.servers().keys().copied().collect();
        for removed in self.members.difference(&members) {
            self.peers.remove(removed);
        }
        self.members = members;
    }

    fn found_at(&mut self, server: ServerId, endpoint: Endpoint) {
        if let Some(peer) = self.peers.get(&server) {
            peer.endpoint
                .send_if_modified(|known| std::mem::replace(known, endpoint.clone()) != endpoint);
            return;
        }
        let (endpoint, at) = watch::channel(endpoint);
        let (first, _) = Outbox::new(PeerQueue::default());
        let (newest, outbox) = watch::channel(first);
        let task = tokio::spawn(dial::keep(self.dial.clone(), server, at, newest));
        self.peers.insert(
            server,
            Peer {
                outbox,
                endpoint,
                task,
            },
        );
    }

    /// Says something to a server, or not, where it cannot be reached.
    pub(super) fn send(&mut self, to: ServerId, message: PeerMessage) {
        if !self.peers.contains_key(&to)
            && let Some(endpoint) = self.heard.get(&to).cloned()
        {
            self.found_at(to, endpoint);
        }
        if let Some(peer) = self.peers.get(&to) {
            peer.outbox.borrow().put(|queue| {
                if queue.messages.len() >= MESSAGES_QUEUED_MAX {
                    queue.messages.pop_front();
                }
                queue.messages.push_back(message);
            });
        }
    }
}
