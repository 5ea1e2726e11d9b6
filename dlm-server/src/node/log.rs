//! From the log to the state: entries and snapshots, and what this process is by them.

use dlm_core::LogIndex;
use dlm_core::call::CallAnswer;
use dlm_core::cluster::ClusterState;

use super::Node;
use super::masters::Masters;
use super::message::{Notice, Output, PeerMessage};
use crate::replica::{Action, Context, Dropped, Event};

impl Node {
    /// Does what the replica says, in its order.
    pub(super) fn act(&mut self, actions: Vec<Action>, out: &mut Vec<Output>) {
        for action in actions {
            match action {
                Action::Persist(write) => out.push(Output::Persist(write)),
                Action::Send { to, bytes } => {
                    let message = PeerMessage::Raft(bytes);
                    out.push(Output::Send { to, message });
                }
                Action::Apply {
                    index,
                    bytes,
                    context,
                } => self.apply(index, &bytes, context, out),
                Action::ReadReady { context, .. } => self.round_over(context, out),
                Action::ReadDropped { context } => {
                    if let Some(coordinator) = &mut self.coordinator {
                        coordinator.round_dropped(context);
                    }
                }
                Action::Restore { index, bytes } => self.restore(index, &bytes, out),
                Action::RoleChanged { role, term, leader } => {
                    self.role_changed((role, term), leader, out);
                }
                Action::ProposalDropped { context, why } => self.dropped(context, why, out),
                Action::MembershipChanged {
                    members, context, ..
                } => self.members_changed(&members, context, out),
                Action::SnapshotWanted { index } => {
                    let bytes = glockwork_proto::render::snapshot(&self.state);
                    self.events.push_back(Event::SnapshotMade { index, bytes });
                }
                Action::MessageRefused { from, why } => {
                    out.push(Output::Log(Notice::MessageRefused { from, why }));
                }
            }
        }
    }

    fn apply(
        &mut self,
        index: LogIndex,
        bytes: &[u8],
        context: Option<Context>,
        out: &mut Vec<Output>,
    ) {
        // Going on without an entry that the others have would make another state of this one.
        let command = glockwork_proto::convert::command(bytes)
            .unwrap_or_else(|why| panic!("entry {} of the log: {why}", index.0));
        let mut effects = Vec::new();
        let reply = self.state.apply(index, command, &mut effects);
        self.look_at_us(out);
        self.heed_effects(effects, out);
        if let Some(whom) = context.and_then(|context| self.proposed.remove(&context)) {
            self.applied_for(whom, reply, out);
        }
    }

    /// The state is a snapshot's. What happened up to it is not known one by one, so a process that was
    /// known before drops its tables, which missed that, and announces itself as another one.
    fn restore(&mut self, index: LogIndex, bytes: &[u8], out: &mut Vec<Output>) {
        // What a process begins with is no news.
        let was_behind = self.state.applied() > LogIndex(0);
        self.state = if bytes.is_empty() {
            ClusterState::new()
        } else {
            glockwork_proto::convert::snapshot(bytes)
                .unwrap_or_else(|why| panic!("the snapshot of entry {}: {why}", index.0))
        };
        if was_behind {
            out.push(Output::Log(Notice::Restored { index }));
        }
        if self.incarnation.is_some() || self.known().is_some() {
            self.begin_again(out);
        }
    }

    fn dropped(&mut self, context: Context, why: Dropped, out: &mut Vec<Output>) {
        if self.change_dropped(context, why, out) {
            return;
        }
        let Some(whom) = self.proposed.remove(&context) else {
            return;
        };
        // Whether it was applied or not, it can be asked again.
        let endpoint = match why {
            Dropped::NotLeader { leader } if leader == self.leader => self.leaders_endpoint(),
            _ => None,
        };
        self.answer(whom, CallAnswer::NotLeader(endpoint), out);
    }

    /// The number under which the state knows this process as running.
    fn known(&self) -> Option<dlm_core::Incarnation> {
        let process = self.state.servers().get(&self.config.server)?.process()?;
        (process.nonce == self.nonce).then_some(process.incarnation)
    }

    /// Whether this process is known, or was and is not any more.
    fn look_at_us(&mut self, out: &mut Vec<Output>) {
        let known = self.known();
        match (self.incarnation, known) {
            (Some(before), now) if now != Some(before) => self.begin_again(out),
            (None, Some(incarnation)) => {
                self.incarnation = Some(incarnation);
                self.lease.hurry();
                self.wishes.hurry();
                let endpoint = self.config.endpoint.clone();
                out.push(Output::Log(Notice::Announced {
                    incarnation,
                    endpoint,
                }));
            }
            _ => {}
        }
    }

    /// **A server that learns that its process is lost drops all tables, and announces itself again under
    /// another nonce.**
    fn begin_again(&mut self, out: &mut Vec<Output>) {
        if let Some(incarnation) = self.incarnation.take() {
            out.push(Output::Log(Notice::Lost { incarnation }));
        }
        self.masters = Masters::default();
        self.journal.lost();
        self.streams.drop_all(out);
        self.lease.lose();
        self.nonce = self.nonces.next();
        self.wishes.forget();
    }
}
