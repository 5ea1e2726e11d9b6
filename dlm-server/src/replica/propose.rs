//! Proposals, quorum rounds, membership and snapshots: what the rest of the server asks for.

use dlm_core::{LogIndex, ServerId};
use protobuf::Message as _;
use raft::StateRole;
use raft::eraftpb::{ConfChange, ConfChangeType};

use super::envelope::MESSAGE_BYTES_MAX;
use super::{Action, Context, Dropped, Persisting, Replica, Role};
use crate::members::{MemberChange, ServerIdentity};
use crate::storage::{Snapshot, Write};

/// The most bytes of an entry. Entries are events of the cluster: a session joined, a slot moved.
pub const PROPOSAL_BYTES_MAX: usize = 64 << 10;

/// The most bytes of a snapshot. The cluster's state has limits that keep it far below; one that is
/// longer could not be sent to another server, and so stops this one.
pub const SNAPSHOT_BYTES_MAX: usize = 32 << 20;

const _: () = assert!(
    SNAPSHOT_BYTES_MAX + (1 << 20) <= MESSAGE_BYTES_MAX,
    "a snapshot, its members and the envelope fit into a message"
);

/// The most proposals that wait for their entry to be applied.
const PROPOSALS_MAX: usize = 4096;

/// The most quorum rounds that wait for their answers. One is asked for in a tick, so these are many
/// times an election timeout.
const READS_MAX: usize = 1024;

impl Replica {
    /// Whether a proposal can be taken now.
    fn may_propose(&self) -> Result<(), Dropped> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            let leader = (raft.leader_id != 0).then_some(ServerId(raft.leader_id));
            return Err(Dropped::NotLeader { leader });
        }
        if raft.lead_transferee.is_some() {
            return Err(Dropped::HandingOver);
        }
        if self.proposals.len() >= PROPOSALS_MAX {
            return Err(Dropped::Full);
        }
        Ok(())
    }

    /// Only the leader takes proposals, so their place in the log is known at once; they are found again
    /// by place and term.
    fn proposed(&mut self, context: Context) {
        let raft = &self.raw.raft;
        let index = raft.raft_log.last_index();
        self.proposals.insert(index, (raft.term, context));
    }

    pub(super) fn propose(&mut self, context: Context, bytes: Vec<u8>, out: &mut Vec<Action>) {
        match self.try_propose(bytes) {
            Ok(()) => self.proposed(context),
            Err(why) => out.push(Action::ProposalDropped { context, why }),
        }
    }

    fn try_propose(&mut self, bytes: Vec<u8>) -> Result<(), Dropped> {
        self.may_propose()?;
        if !(1..=PROPOSAL_BYTES_MAX).contains(&bytes.len()) {
            return Err(Dropped::Size);
        }
        let proposed = self.raw.propose(Vec::new(), bytes);
        proposed.map_err(|_| Dropped::Full)
    }

    pub(super) fn change(&mut self, context: Context, change: MemberChange, out: &mut Vec<Action>) {
        match self.try_change(change) {
            Ok(()) => self.proposed(context),
            Err(why) => out.push(Action::ProposalDropped { context, why }),
        }
    }

    fn try_change(&mut self, change: MemberChange) -> Result<(), Dropped> {
        self.may_propose()?;
        // `raft` would put an empty entry in its place and say nothing. It also has this for a leader
        // that has not applied all of the earlier terms' entries.
        if self.raw.raft.has_pending_conf() || !self.raw.raft.commit_to_current_term() {
            return Err(Dropped::ChangeUnderWay);
        }
        self.members().check(change)?;
        if matches!(change, MemberChange::Remove { server } if server == self.identity.server) {
            return Err(Dropped::Leader);
        }
        let proposed = self.raw.propose_conf_change(Vec::new(), to_raft(change));
        proposed.map_err(|_| Dropped::Full)
    }

    pub(super) fn read(&mut self, context: Context, out: &mut Vec<Action>) {
        // A leader that has committed nothing in its term does not know yet what is committed.
        let ready = self.role.0 == Role::Leader
            && self.raw.raft.state == StateRole::Leader
            && self.raw.raft.commit_to_current_term()
            && self.reads.len() < READS_MAX;
        if !ready {
            out.push(Action::ReadDropped { context });
            return;
        }
        self.read += 1;
        self.reads.insert(self.read, context);
        self.raw.read_index(self.read.to_le_bytes().to_vec());
    }

    pub(super) fn transfer(&mut self, to: ServerId) {
        if self.raw.raft.state == StateRole::Leader {
            self.raw.transfer_leader(to.0);
        }
    }

    pub(super) fn snapshot_made(&mut self, index: LogIndex, data: Vec<u8>, out: &mut Vec<Action>) {
        let index = index.0;
        assert!(
            index <= self.applied,
            "a snapshot of what was not given out"
        );
        self.snapshot_asked = false;
        let newest = self.raw.store().snapshot.index;
        let Some(term) = self.raw.store().term_of(index).filter(|_| index > newest) else {
            return;
        };
        let mut at = self.members.range(..=index);
        let (_, members) = at.next_back().expect("the members at every snapshot");
        let snapshot = Snapshot {
            index,
            term,
            members: members.clone(),
            data,
        };
        let members = self.members.split_off(&(index + 1));
        self.members = members;
        self.members.insert(index, snapshot.members.clone());
        self.applied_bytes = 0;
        let kept = self.config.entries_kept;
        let compact = self.raw.mut_store().compact(snapshot.clone(), kept);
        self.written += 1;
        let number = self.written;
        self.persisting.push_back(Persisting {
            number,
            ready: None,
            term: None,
            then: Vec::new(),
        });
        out.push(Action::Persist(Write {
            number,
            sync: true,
            snapshot: Some(snapshot),
            compact,
            ..Write::default()
        }));
    }
}

/// The change as an entry carries it; a new member's identity is in its context.
fn to_raft(change: MemberChange) -> ConfChange {
    let mut raft = ConfChange::default();
    let (kind, server) = match change {
        MemberChange::AddLearner { server, identity } => {
            raft.set_context(identity.0.to_le_bytes().to_vec().into());
            (ConfChangeType::AddLearnerNode, server)
        }
        MemberChange::Promote { server } => (ConfChangeType::AddNode, server),
        MemberChange::Remove { server } => (ConfChangeType::RemoveNode, server),
    };
    raft.set_change_type(kind);
    raft.set_node_id(server.0);
    raft
}

/// The change that an entry carries, in `raft`'s words and in ours.
pub(super) fn from_entry(data: &[u8]) -> Option<(ConfChange, MemberChange)> {
    let mut raft = ConfChange::default();
    raft.merge_from_bytes(data).ok()?;
    let server = ServerId(raft.get_node_id());
    let change = match raft.get_change_type() {
        ConfChangeType::AddLearnerNode => {
            let identity = raft.get_context().try_into().ok()?;
            let identity = ServerIdentity(u128::from_le_bytes(identity));
            MemberChange::AddLearner { server, identity }
        }
        ConfChangeType::AddNode => MemberChange::Promote { server },
        ConfChangeType::RemoveNode => MemberChange::Remove { server },
    };
    Some((raft, change))
}
