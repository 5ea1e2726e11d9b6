//! Faults put into a cluster on purpose, to see that they are found.
//!
//! Each is put in where the world meets a machine: what a process is told, or says, is not what it should
//! be. The machines themselves know nothing of it.

mod frames;
mod tokens;

use dlm_core::call::{Call, CallAnswer};
use dlm_core::link::{FromServer, Hello, ToServer};
use dlm_core::recovery::{Claim, Stands};
use dlm_core::{Epoch, RequestFlags, ServerId, SessionId, Tick};
use dlm_server::node::{Input as NodeInput, Node, PeerMessage, StreamId};
use dlm_server::replica::Role;

use super::super::ProcessId;
use super::super::process::Birth;
use frames::Frames;
use tokens::Tokens;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Clients leave out the margin of their leases, and what their messages took.
    LongLease,
    /// Servers acknowledge renewals at once, without the leader and its quorum; they pass them on, too.
    NoRound,
    /// A server that starts again goes on under the number that it had.
    SameProcess,
    /// Clients heed what a slot's master of an epoch says that they have answered for a later one.
    NoFloor,
    /// One client does not claim what it holds.
    ClaimsNothing,
    /// What is left of an older stream is applied on the next.
    OldFrame,
    /// What may have given up its mode (`CONVDEADLK`) is claimed in it.
    OldMode,
    /// Claims do not say where in the queue they stood.
    NoPlace,
    /// A resource that begins again begins with the first token again.
    TokensAgain,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LongLease,
        Self::NoRound,
        Self::SameProcess,
        Self::NoFloor,
        Self::ClaimsNothing,
        Self::OldFrame,
        Self::OldMode,
        Self::NoPlace,
        Self::TokensAgain,
    ];
}

/// By how much a lease is too long: the margin, and a message that took long.
const TOO_LONG_US: u64 = 600_000;

/// The client that does not claim what it holds.
const SILENT: ProcessId = ProcessId(3);

/// What is wrong with a server.
#[derive(Clone, Debug)]
pub(super) struct AtServer {
    what: Option<Sabotage>,
    frames: Frames,
    tokens: Tokens,
}

impl AtServer {
    pub(super) fn new(what: Option<Sabotage>) -> Self {
        Self {
            what,
            frames: Frames::default(),
            tokens: Tokens::default(),
        }
    }

    /// What the process calls itself.
    pub(super) fn nonce(&self, birth: Birth) -> u128 {
        if self.what == Some(Sabotage::SameProcess) {
            u128::from(birth.id.0) + 1
        } else {
            birth.seed.into()
        }
    }

    fn leads(&self, node: &Node) -> bool {
        self.what == Some(Sabotage::NoRound) && node.replica().role().0 == Role::Leader
    }

    /// What it is told with a tick.
    pub(super) fn tick(&self, now: Tick, node: &Node, id: ServerId) -> Vec<NodeInput> {
        let incarnation = node.incarnation().filter(|_| self.leads(node));
        let renewed = incarnation.map(|incarnation| NodeInput::Peer {
            from: id,
            message: PeerMessage::Renewed {
                incarnation,
                sent: now,
                applied: node.state().applied(),
            },
        });
        renewed.into_iter().collect()
    }

    /// What another server is answered before anybody was asked.
    pub(super) fn renews(&self, node: &Node, message: &PeerMessage) -> Option<PeerMessage> {
        match *message {
            PeerMessage::Renew { incarnation, sent } if self.leads(node) => {
                Some(PeerMessage::Renewed {
                    incarnation,
                    sent,
                    applied: node.state().applied(),
                })
            }
            _ => None,
        }
    }

    /// What a call is answered before anybody was asked.
    pub(super) fn answers(&self, node: &Node, asked: &Call) -> Option<CallAnswer> {
        let is_renewal = matches!(asked, Call::KeepAlive { .. });
        let acknowledges = is_renewal && self.what == Some(Sabotage::NoRound);
        acknowledges.then(|| CallAnswer::Alive {
            map_index: node.state().applied(),
        })
    }

    /// A stream was opened.
    pub(super) fn opened(&mut self, hello: &Hello, stream: StreamId) {
        if self.what == Some(Sabotage::OldFrame) {
            self.frames.opened(hello.session, stream);
        }
    }

    /// What it hears of a message.
    pub(super) fn hears(
        &mut self,
        session: SessionId,
        stream: StreamId,
        message: ToServer,
    ) -> Vec<(StreamId, ToServer)> {
        if self.what == Some(Sabotage::OldFrame) {
            self.frames.hears(session, stream, message)
        } else {
            vec![(stream, message)]
        }
    }

    /// What is left of what it says.
    pub(super) fn says(
        &mut self,
        session: SessionId,
        message: FromServer,
        node: &Node,
    ) -> FromServer {
        match self.what {
            Some(Sabotage::OldFrame) => self.frames.says(session, message),
            Some(Sabotage::TokensAgain) => self.tokens.says(session, message, node),
            _ => message,
        }
    }
}

/// What is wrong with a client.
#[derive(Clone, Debug)]
pub(super) struct AtClient {
    what: Option<Sabotage>,
    id: ProcessId,
}

impl AtClient {
    pub(super) const fn new(what: Option<Sabotage>, id: ProcessId) -> Self {
        Self { what, id }
    }

    /// What it hears of an answer.
    pub(super) fn answer(&self, mut answer: CallAnswer) -> CallAnswer {
        if let (Some(Sabotage::LongLease), CallAnswer::Joined { lease_us, .. }) =
            (self.what, &mut answer)
        {
            *lease_us += TOO_LONG_US;
        }
        answer
    }

    /// What it hears of a message.
    pub(super) fn hears(&self, mut message: FromServer) -> FromServer {
        if let (
            Some(Sabotage::NoFloor),
            FromServer::Event {
                slot: Some((_, epoch)),
                ..
            },
        ) = (self.what, &mut message)
        {
            *epoch = Epoch(u32::MAX);
        }
        message
    }

    /// What is left of what it says.
    pub(super) fn says(&self, mut message: ToServer) -> ToServer {
        if let ToServer::Claims { claims, .. } = &mut message {
            match self.what {
                Some(Sabotage::ClaimsNothing) if self.id == SILENT => {
                    claims.retain(|claim| claim.held().is_none());
                }
                Some(Sabotage::OldMode) => claims.iter_mut().for_each(in_old_mode),
                Some(Sabotage::NoPlace) => claims.iter_mut().for_each(without_place),
                _ => {}
            }
        }
        message
    }
}

fn in_old_mode(claim: &mut Claim) {
    if let Stands::Converting { held, .. } = &mut claim.stands
        && claim.flags.contains(RequestFlags::CONVDEADLK)
        && let Some(before) = claim.granted
    {
        *held = before;
    }
}

const fn without_place(claim: &mut Claim) {
    if let Stands::Converting { serial, .. } | Stands::Waiting { serial, .. } = &mut claim.stands {
        *serial = None;
    }
}
