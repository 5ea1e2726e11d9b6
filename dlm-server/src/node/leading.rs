//! What a server does while it leads: it carries out its coordinator's duties, and puts into the log what
//! others want there.

use dlm_core::ServerId;
use dlm_core::cluster::{Command, Name};

use super::Node;
use super::calls::ReplyTo;
use super::config::ASK_AGAIN_US;
use super::coordinator::{Coordinator, Duty, Renewal};
use super::membership::{LAG_MAX, role_of};
use super::message::{Notice, Output, Proposal};
use crate::replica::{self, Context, Event};

impl Node {
    /// This server's role, or the leader that it knows, changed.
    pub(super) fn role_changed(
        &mut self,
        (role, term): (replica::Role, u64),
        leader: Option<ServerId>,
        out: &mut Vec<Output>,
    ) {
        if role == replica::Role::Leader {
            if self.coordinator.is_none() {
                let (timing, fences) = (self.config.timing, self.config.fence_command);
                self.coordinator = Some(Coordinator::new(timing, fences));
                out.push(Output::Log(Notice::Leads { term }));
            }
        } else if let Some(coordinator) = self.coordinator.take() {
            let endpoint = leader.and_then(|_| self.leaders_endpoint());
            for renewal in coordinator.abandoned() {
                if let Renewal::Session { reply, .. } = renewal {
                    let answer = dlm_core::call::CallAnswer::NotLeader(endpoint.clone());
                    self.answer(reply, answer, out);
                }
            }
        }
        if leader != self.leader {
            self.leader = leader;
            self.give_up_relayed(true, out);
            self.lease.hurry();
            self.wishes.forget();
        }
    }

    /// A process asks for its lease to be renewed.
    pub(super) fn renew(&mut self, renewal: Renewal<ReplyTo>) {
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.renew(renewal);
        }
    }

    /// A round of the quorum ended.
    pub(super) fn round_over(&mut self, context: Context, out: &mut Vec<Output>) {
        let mut duties = Vec::new();
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.round_over(self.now, context, &self.state, &mut duties);
        }
        self.carry_out(duties, out);
    }

    /// A fence command that this server ran ended. Where it does not lead any more, the next leader runs
    /// it again.
    pub(super) fn fence_ended(
        &mut self,
        ended: (dlm_core::SessionId, dlm_core::cluster::FenceOutcome),
        out: &mut Vec<Output>,
    ) {
        let mut duties = Vec::new();
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.fence_ended(self.now, ended, &mut duties);
        }
        self.carry_out(duties, out);
    }

    pub(super) fn lead(&mut self, out: &mut Vec<Output>) {
        let round = self.context();
        let mut duties = Vec::new();
        let Some(coordinator) = &mut self.coordinator else {
            return;
        };
        coordinator.tick(self.now, round, &self.state, &mut duties);
        self.carry_out(duties, out);
        if self.change_members_at <= self.now {
            self.change_members_at = self.now.plus(ASK_AGAIN_US);
            self.change_members();
        }
    }

    fn carry_out(&mut self, duties: Vec<Duty<ReplyTo>>, out: &mut Vec<Output>) {
        for duty in duties {
            match duty {
                Duty::Round(context) => self.events.push_back(Event::Read { context }),
                Duty::Acknowledge(renewal) => self.acknowledge(renewal, out),
                Duty::Deny(renewal) => self.deny(renewal, out),
                Duty::Propose(command) => self.propose(command, None),
                Duty::Fence(session, age) => {
                    let known = self.state.sessions().get(&session);
                    let name: Option<Name> = known.map(|known| known.name.clone());
                    out.extend(name.map(|name| Output::Fence { session, name, age }));
                }
            }
        }
    }

    /// Puts a command into the log, for whom it may concern.
    pub(super) fn propose(&mut self, command: Command, whom: Option<ReplyTo>) {
        let context = self.context();
        if let Some(whom) = whom {
            self.proposed.insert(context, whom);
        }
        let bytes = glockwork_proto::render::command(&command);
        self.events.push_back(Event::Propose { context, bytes });
    }

    pub(super) fn context(&mut self) -> Context {
        self.contexts += 1;
        Context(self.contexts)
    }

    /// A server wants something in the log. It says so again where this one does not lead.
    pub(super) fn wanted(&mut self, from: ServerId, proposal: Proposal) {
        if self.coordinator.is_none() {
            return;
        }
        if let Proposal::Started(started) = &proposal {
            let member = self.replica.members().member(from);
            let Some(member) = member.filter(|_| started.server == from) else {
                return;
            };
            // One that has yet to get a snapshot would find itself in it, and begin again.
            if self.replica.lag(from).is_none_or(|lag| lag > LAG_MAX) {
                return;
            }
            if !self.state.servers().contains_key(&from) {
                let added = Command::ServerAdded {
                    server: from,
                    peer_endpoint: started.peer_endpoint.clone(),
                    role: role_of(member.voter),
                };
                self.propose(added, None);
            }
        }
        self.propose(proposal.command(), None);
    }
}
