//! Clients' calls to the cluster.
//!
//! The leader puts them into the log and answers when they are applied. Any other server says where the
//! leader is, and relays keepalives, for a client may reach it and not the leader.

use dlm_core::Tick;
use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::Reply;
use dlm_core::cluster::{Command, CommandRefusal, Death, Endpoint, FenceOutcome, Fenced, Join};
use dlm_core::{ServerId, SessionId, SlotId};

use super::Node;
use super::config::CALLS_MAX;
use super::coordinator::Renewal;
use super::message::{Output, PeerMessage};
use crate::members::ServerIdentity;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyTo {
    /// A client that called here.
    Client(CallId),
    /// A client that called another server.
    Relay(ServerId, CallId),
    /// A server that renewed its lease, and when it sent that.
    Server(ServerId, Tick),
}

/// A call that was relayed to the leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relayed {
    call: CallId,
    until: Tick,
}

impl Node {
    /// A client, or a server for its client, asks.
    pub(super) fn call(&mut self, from: ReplyTo, asked: Call, out: &mut Vec<Output>) {
        if asked == Call::Map {
            let map = self.map(SlotId::all());
            return self.answer(from, CallAnswer::Map(map), out);
        }
        if let Some(why) = self.refuses(&asked) {
            return self.answer(from, why, out);
        }
        if self.coordinator.is_none() {
            return self.call_elsewhere(from, asked, out);
        }
        if let Call::KeepAlive { session, nonce } = asked {
            let reply = from;
            return match &mut self.coordinator {
                Some(coordinator) if coordinator.waiting() < CALLS_MAX => {
                    coordinator.renew(Renewal::Session {
                        session,
                        nonce,
                        reply,
                    });
                }
                _ => self.answer(from, CallAnswer::NotLeader(None), out),
            };
        }
        match asked {
            Call::AddServer {
                server,
                peer_endpoint,
                identity,
            } => {
                let identity = ServerIdentity(identity);
                self.add_server((server, identity), peer_endpoint, from, out);
            }
            Call::RemoveServer { server } => self.remove_server(server, from, out),
            asked => {
                if let Some(command) = command(asked) {
                    self.propose(command, Some(from));
                }
            }
        }
    }

    /// Why something is not asked in a session's name: it joined with another nonce, and will not have joined
    /// with this one, on whichever server. Of a session that is not known here a leader knows that there is
    /// none when it has applied all that the leaders before it put into the log: its number was told to nobody
    /// before its entry was applied. Until then it is asked again. (A keepalive is compared once more when its
    /// round is over.)
    fn refuses(&self, asked: &Call) -> Option<CallAnswer> {
        let (session, nonce) = asked.says_to_be()?;
        match self.state.sessions().get(&session) {
            Some(known) if known.nonce == nonce => None,
            Some(_) => Some(CallAnswer::Refused(CommandRefusal::NotYours)),
            None if self.coordinator.is_none() || matches!(asked, Call::KeepAlive { .. }) => None,
            None if self.replica.knows_all() => {
                Some(CallAnswer::Refused(CommandRefusal::NoSuchSession))
            }
            None => Some(CallAnswer::NotLeader(None)),
        }
    }

    fn call_elsewhere(&mut self, from: ReplyTo, asked: Call, out: &mut Vec<Output>) {
        let leader = self.leader.filter(|&leader| leader != self.config.server);
        if let (Call::KeepAlive { .. }, ReplyTo::Client(call), Some(leader)) =
            (&asked, from, leader)
            && self.relayed.len() < CALLS_MAX
        {
            self.relays = self.relays.wrapping_add(1);
            let relay = CallId(self.relays);
            let until = self.now.plus(self.config.timing.call_us_max);
            self.relayed.insert(relay, Relayed { call, until });
            let message = PeerMessage::Relay { call: relay, asked };
            return self.send(leader, message, out);
        }
        let endpoint = self.leaders_endpoint();
        self.answer(from, CallAnswer::NotLeader(endpoint), out);
    }

    /// The leader answered what was relayed.
    pub(super) fn relay_answered(
        &mut self,
        relay: CallId,
        answer: CallAnswer,
        out: &mut Vec<Output>,
    ) {
        if let Some(Relayed { call, .. }) = self.relayed.remove(&relay) {
            out.push(Output::Answer { call, answer });
        }
    }

    /// Gives up what was relayed and not answered in time, or all of it.
    pub(super) fn give_up_relayed(&mut self, all: bool, out: &mut Vec<Output>) {
        let over = self.relayed.iter();
        let over = over.filter(|(_, relayed)| all || relayed.until <= self.now);
        let over: Vec<CallId> = over.map(|(&relay, _)| relay).collect();
        for relay in over {
            let answer = CallAnswer::NotLeader(self.leaders_endpoint());
            self.relay_answered(relay, answer, out);
        }
    }

    /// Where clients find the leader.
    pub(super) fn leaders_endpoint(&self) -> Option<Endpoint> {
        let leader = self.state.servers().get(&self.leader?)?;
        Some(leader.process()?.endpoint.clone())
    }

    pub(super) fn answer(&mut self, to: ReplyTo, answer: CallAnswer, out: &mut Vec<Output>) {
        match to {
            ReplyTo::Client(call) => out.push(Output::Answer { call, answer }),
            ReplyTo::Relay(server, call) => {
                self.send(server, PeerMessage::Relayed { call, answer }, out);
            }
            ReplyTo::Server(..) => {}
        }
    }

    /// What was proposed for somebody is applied.
    pub(super) fn applied_for(&mut self, to: ReplyTo, reply: Reply, out: &mut Vec<Output>) {
        let answer = match reply {
            Reply::Joined {
                session,
                joined,
                version,
            } => CallAnswer::Joined {
                session,
                joined,
                version,
                lease_us: self.config.timing.session_lease_us,
            },
            Reply::LockspaceOpened {
                lockspace,
                options,
                replays,
            } => CallAnswer::Opened {
                lockspace,
                options,
                replays,
            },
            Reply::Done | Reply::Started { .. } => CallAnswer::Done,
            // No server is announced yet, though one leads.
            Reply::Refused(CommandRefusal::NotRunning) => CallAnswer::NotLeader(None),
            Reply::Refused(why) => CallAnswer::Refused(why),
        };
        self.answer(to, answer, out);
    }

    /// A renewal holds.
    pub(super) fn acknowledge(&mut self, renewal: Renewal<ReplyTo>, out: &mut Vec<Output>) {
        match renewal {
            Renewal::Session { reply, .. } => {
                let map_index = self.state.applied();
                self.answer(reply, CallAnswer::Alive { map_index }, out);
            }
            Renewal::Server { incarnation, reply } => {
                if let ReplyTo::Server(to, sent) = reply {
                    let renewed = PeerMessage::Renewed {
                        incarnation,
                        sent,
                        applied: self.state.applied(),
                    };
                    self.send(to, renewed, out);
                }
            }
        }
    }

    /// A renewal does not hold. A server learns from the log that it is lost.
    pub(super) fn deny(&mut self, renewal: Renewal<ReplyTo>, out: &mut Vec<Output>) {
        if let Renewal::Session {
            session,
            nonce,
            reply,
        } = renewal
        {
            let why = self.why_not(session, nonce);
            self.answer(reply, CallAnswer::Refused(why), out);
        }
    }

    fn why_not(&self, session: SessionId, nonce: u128) -> CommandRefusal {
        match self.state.sessions().get(&session) {
            None => CommandRefusal::NoSuchSession,
            Some(known) if known.nonce != nonce => CommandRefusal::NotYours,
            Some(_) => CommandRefusal::SessionDead,
        }
    }
}

/// A call as an entry of the log, where it is one as it stands.
fn command(asked: Call) -> Option<Command> {
    Some(match asked {
        Call::Join {
            nonce,
            name,
            versions,
            attests,
        } => Command::Join(Join {
            nonce,
            name,
            versions,
            attests,
        }),
        Call::Goodbye { session, .. } => Command::Goodbye { session },
        Call::OpenLockspace {
            session,
            name,
            options,
            ..
        } => Command::OpenLockspace {
            session,
            name,
            options,
        },
        Call::LeaveLockspace {
            session, lockspace, ..
        } => Command::LeaveLockspace { session, lockspace },
        Call::Replayed { replay, .. } => Command::Replayed(replay),
        Call::Evict { session } => Command::Expire {
            session,
            why: Death::Evicted,
        },
        Call::FenceConfirmed { session } => Command::FenceResult {
            session,
            outcome: FenceOutcome::Done(Fenced::Operator),
        },
        Call::AddServer { .. } | Call::RemoveServer { .. } | Call::KeepAlive { .. } | Call::Map => {
            return None;
        }
    })
}
