//! Servers are added and removed.
//!
//! Two lists say who belongs to the cluster: Raft's members, which decide what is committed, and the
//! state's servers, which have addresses and slots. A call changes one of them, and that is all that is
//! remembered of it; what is to be done next is read off both, so that any leader can go on where the one
//! before it was lost.
//!
//! | the members have it as | the state has it as | next |
//! |---|---|---|
//! | nothing | nothing | asked to add it: a learner |
//! | learner | nothing | asked to add it: [`Role::Learner`], with its address; or it announces itself |
//! | learner | [`Role::Learner`] | it runs and has the log: it is given a vote |
//! | voter | [`Role::Learner`] | [`Role::Voter`] |
//! | either | [`Role::Leaving`] | it leads: another one is to; it has slots: they move; else it is removed |
//! | nothing | anything | it is dropped from the state |
//!
//! A server is a member before the state knows it, since the state drops who is no member.
//!
//! **No removal takes the majority away.** Where too few of the voters that stay run, it waits and is not
//! refused: the call is answered when everybody knows that the server leaves, and what runs then may be
//! lost a moment later; a server that comes back, or another one that is added, lets it go on. It waits
//! too where no other server may take the slots.

use dlm_core::ServerId;
use dlm_core::call::CallAnswer;
use dlm_core::cluster::{ClusterState, Command, CommandRefusal, Endpoint, Origin, Role};

use super::Node;
use super::calls::ReplyTo;
use super::message::{Notice, Output};
use crate::members::{ChangeRefusal, MemberChange, Members, ServerIdentity};
use crate::replica::{Context, Dropped, Event};

/// A server is announced, and given a vote, when it has all but so few entries of the log, which it gets
/// as such and not with a snapshot; slots that it was given before would wait for it.
pub(super) const LAG_MAX: u64 = 8;

/// A change of the members that somebody called for and waits for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// The state comes next.
    Add {
        server: ServerId,
        identity: ServerIdentity,
        peer_endpoint: Endpoint,
        whom: ReplyTo,
    },
    /// The state did not know it.
    Remove { whom: ReplyTo },
}

/// What the leader does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The state follows the members.
    Propose(Command),
    /// The members follow the state.
    Change(MemberChange),
    /// Another one is to lead.
    HandOver(ServerId),
}

/// What a leader sees.
pub(super) struct Seen<'a, L> {
    pub(super) state: &'a ClusterState,
    pub(super) members: &'a Members,
    /// Itself.
    pub(super) us: ServerId,
    /// How many entries each one misses.
    pub(super) lag: L,
}

impl<L: Fn(ServerId) -> Option<u64>> Seen<'_, L> {
    /// What is to be done next. At most one change of the members is among it: they are made one at a
    /// time.
    pub(super) fn due(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.mirrored().map(Step::Propose).collect();
        let change = self.promotion().or_else(|| self.removal());
        steps.extend(change.map(Step::Change));
        if self.leaves(self.us) {
            steps.extend(self.heir().map(Step::HandOver));
        }
        steps
    }

    /// The state's servers are Raft's members: a role that changed, and a member that is none any more.
    /// New ones come with their addresses, which only a call and they themselves know.
    fn mirrored(&self) -> impl Iterator<Item = Command> {
        let servers = self.state.servers().iter();
        servers.filter_map(|(&server, known)| {
            let Some(member) = self.members.member(server) else {
                return Some(Command::ServerRemoved { server });
            };
            let role = role_of(member.voter);
            let is_other = known.role != role && known.role != Role::Leaving;
            is_other.then(|| Command::ServerAdded {
                server,
                peer_endpoint: known.peer_endpoint.clone(),
                role,
            })
        })
    }

    /// A learner that runs and has the log. One that does not run would count against the majority.
    fn promotion(&self) -> Option<MemberChange> {
        let listens = |server: &ServerId| {
            let known = self.state.servers().get(server);
            known.is_some_and(|known| known.role == Role::Learner && known.process().is_some())
        };
        let learners = self.members.iter().filter(|(_, member)| !member.voter);
        let mut learners = learners.map(|(server, _)| server).filter(listens);
        let has_the_log = |server| (self.lag)(server).is_some_and(|lag| lag <= LAG_MAX);
        learners
            .find(|&server| has_the_log(server))
            .map(|server| MemberChange::Promote { server })
            .filter(|&change| self.members.check(change).is_ok())
    }

    /// A server that leaves, has given away all that it had, and can be done without.
    fn removal(&self) -> Option<MemberChange> {
        let others = self.members.iter().map(|(server, _)| server);
        let mut others = others.filter(|&server| server != self.us && self.leaves(server));
        others
            .find(|&server| self.is_empty(server) && self.can_do_without(server))
            .map(|server| MemberChange::Remove { server })
            .filter(|&change| self.members.check(change).is_ok())
    }

    fn leaves(&self, server: ServerId) -> bool {
        let known = self.state.servers().get(&server);
        known.is_some_and(|known| known.role == Role::Leaving)
    }

    /// Whether a server masters nothing, and no table is on its way from it.
    fn is_empty(&self, server: ServerId) -> bool {
        self.state.slots().all(|(_, slot)| {
            let comes_from = match slot.origin {
                Origin::Planned { from } if !slot.serving => Some(from.server),
                _ => None,
            };
            let masters = slot.master.map(|master| master.server);
            masters != Some(server) && comes_from != Some(server)
        })
    }

    /// Whether most voters without this one run.
    fn can_do_without(&self, server: ServerId) -> bool {
        if !self.votes(server) {
            return true;
        }
        let others = self.members.iter().map(|(other, _)| other);
        let stay: Vec<ServerId> = others
            .filter(|&other| other != server && self.votes(other))
            .collect();
        let run = stay.iter().filter(|&&other| self.runs(other)).count();
        run * 2 > stay.len()
    }

    fn votes(&self, server: ServerId) -> bool {
        let member = self.members.member(server);
        member.is_some_and(|member| member.voter)
    }

    fn runs(&self, server: ServerId) -> bool {
        let known = self.state.servers().get(&server);
        server == self.us || known.is_some_and(|known| known.process().is_some())
    }

    /// Who is to lead instead of this server: of the voters that run and stay, the one with most of the
    /// log.
    fn heir(&self) -> Option<ServerId> {
        let voters = self.members.iter().map(|(server, _)| server);
        let heirs = voters.filter(|&server| {
            server != self.us && self.votes(server) && self.runs(server) && !self.leaves(server)
        });
        heirs.min_by_key(|&server| (self.lag)(server).unwrap_or(u64::MAX))
    }
}

pub(super) const fn role_of(voter: bool) -> Role {
    if voter { Role::Voter } else { Role::Learner }
}

impl Node {
    /// The leader goes on with servers that come and go.
    pub(super) fn change_members(&mut self) {
        if !self.replica.knows_all() {
            return;
        }
        let seen = Seen {
            state: &self.state,
            members: self.replica.members(),
            us: self.config.server,
            lag: |server| self.replica.lag(server),
        };
        for step in seen.due() {
            match step {
                Step::Propose(command) => self.propose(command, None),
                Step::Change(change) => {
                    let context = self.context();
                    self.events.push_back(Event::Change { context, change });
                }
                Step::HandOver(to) => self.events.push_back(Event::TransferLeader { to }),
            }
        }
    }

    /// Somebody calls for a server to be added. What is there already goes through the log all the same:
    /// that it is done is said only by a leader that still is one.
    pub(super) fn add_server(
        &mut self,
        (server, identity): (ServerId, ServerIdentity),
        peer_endpoint: Endpoint,
        whom: ReplyTo,
        out: &mut Vec<Output>,
    ) {
        if !self.replica.knows_all() {
            return self.answer(whom, CallAnswer::NotLeader(None), out);
        }
        match self.replica.members().member(server) {
            Some(member) if member.identity != identity => {
                let why = CommandRefusal::OtherStorage;
                self.answer(whom, CallAnswer::Refused(why), out);
            }
            Some(member) => {
                let role = role_of(member.voter);
                let added = Command::ServerAdded {
                    server,
                    peer_endpoint,
                    role,
                };
                self.propose(added, Some(whom));
            }
            // It is about to be dropped.
            None if self.state.servers().contains_key(&server) => {
                let why = CommandRefusal::Leaving;
                self.answer(whom, CallAnswer::Refused(why), out);
            }
            None => {
                let asked = Asked::Add {
                    server,
                    identity,
                    peer_endpoint,
                    whom,
                };
                self.ask_for(MemberChange::AddLearner { server, identity }, asked);
            }
        }
    }

    /// Somebody calls for a server to be removed.
    pub(super) fn remove_server(&mut self, server: ServerId, whom: ReplyTo, out: &mut Vec<Output>) {
        if !self.replica.knows_all() {
            return self.answer(whom, CallAnswer::NotLeader(None), out);
        }
        if let Some(known) = self.state.servers().get(&server) {
            let leaves = Command::ServerAdded {
                server,
                peer_endpoint: known.peer_endpoint.clone(),
                role: Role::Leaving,
            };
            return self.propose(leaves, Some(whom));
        }
        self.ask_for(MemberChange::Remove { server }, Asked::Remove { whom });
    }

    fn ask_for(&mut self, change: MemberChange, asked: Asked) {
        let context = self.context();
        self.asked.insert(context, asked);
        self.events.push_back(Event::Change { context, change });
    }

    /// A change of the members did not come about. Whether it did after all or not, it can be asked again.
    /// Says whether it was one that somebody called for.
    pub(super) fn change_dropped(
        &mut self,
        context: Context,
        why: Dropped,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(Asked::Add { whom, .. } | Asked::Remove { whom }) = self.asked.remove(&context)
        else {
            return false;
        };
        let answer = match why {
            Dropped::Change(why) => {
                refusal(why).map_or(CallAnswer::NotLeader(None), CallAnswer::Refused)
            }
            Dropped::NotLeader { .. } => CallAnswer::NotLeader(self.leaders_endpoint()),
            _ => CallAnswer::NotLeader(None),
        };
        self.answer(whom, answer, out);
        true
    }

    /// The members are other ones.
    pub(super) fn members_changed(
        &mut self,
        members: &Members,
        context: Option<Context>,
        out: &mut Vec<Output>,
    ) {
        self.change_members_at = self.now;
        self.look_for_us(members, out);
        match context.and_then(|context| self.asked.remove(&context)) {
            None => {}
            Some(Asked::Remove { whom }) => self.answer(whom, CallAnswer::Done, out),
            Some(Asked::Add {
                server,
                identity,
                peer_endpoint,
                whom,
            }) => {
                let member = members.member(server);
                let Some(member) = member.filter(|member| member.identity == identity) else {
                    return self.answer(whom, CallAnswer::NotLeader(None), out);
                };
                let role = role_of(member.voter);
                let added = Command::ServerAdded {
                    server,
                    peer_endpoint,
                    role,
                };
                self.propose(added, Some(whom));
            }
        }
    }

    /// Whether this server is a member. One that was never told who the members are may become one.
    fn look_for_us(&mut self, members: &Members, out: &mut Vec<Output>) {
        if members.is_empty() {
            return;
        }
        let ours = self.replica.identity();
        let member = members.member(ours.server);
        let is_member = member.is_some_and(|member| member.identity == ours.server_identity);
        let was = self.member.replace(is_member);
        if !is_member && was != Some(false) {
            out.push(Output::Log(Notice::Removed { said_by: None }));
        }
    }

    /// Another server says that this one is none of its cluster's members. It may be behind, so that
    /// nothing follows from it but a word to whoever reads the log.
    pub(super) fn not_a_member(&mut self, said_by: ServerId, out: &mut Vec<Output>) {
        if self.member == Some(true) {
            self.member = Some(false);
            let said_by = Some(said_by);
            out.push(Output::Log(Notice::Removed { said_by }));
        }
    }
}

/// What whoever called is told; nothing where it should look again.
const fn refusal(why: ChangeRefusal) -> Option<CommandRefusal> {
    match why {
        ChangeRefusal::Zero | ChangeRefusal::NotMember => Some(CommandRefusal::NoSuchServer),
        ChangeRefusal::Full => Some(CommandRefusal::Servers),
        ChangeRefusal::LastVoter => Some(CommandRefusal::LastServer),
        ChangeRefusal::Member | ChangeRefusal::Voter => None,
    }
}
