//! What `raft` has ready, put into the order in which it may be done.
//!
//! The contract of `raft`'s readies is kept here and nowhere else: entries, state and snapshot go to the
//! disk in the order of the readies; messages of a leader may leave before that, all others only after;
//! entries to be applied are committed *and* on this server's disk already.
//!
//! One kind of message does not wait: **the answer to a heartbeat, where its term is on the disk**. It says
//! only that this server follows that term's leader. What a quorum round concludes from it (that no other
//! leader was elected before the round began) holds if this server gives no vote for a later term without
//! its disk, which is so, and none for an earlier one after a crash, for which the term has to be on it.
//! Entries that are being written have no part in that. So leases are renewed while a disk is slow.
//!
//! Why a vote of the membership cannot be fooled by a crash: what is known to be committed is written
//! without a sync, so a server may wake up and have forgotten that a change of the members was
//! committed. But it can be only one change behind what is in its log: the entry of the next one is
//! appended in the same batch as, or after, the knowledge that the one before is committed (it is
//! proposed only when that was applied, and its message says so), and batches are never lost out of
//! order. The majorities of memberships one change apart have a server in common.

use dlm_core::{LogIndex, ServerId, Tick};
use raft::StateRole;
use raft::eraftpb::{Entry, EntryType, MessageType};

use super::action::Sending;
use super::envelope::Envelope;
use super::log_view::from_raft;
use super::propose::from_entry;
use super::{Action, Context, Dropped, Persisting, Replica, Role};
use crate::members::MemberChange;
use crate::storage::{HardState, Snapshot, Write};

impl Replica {
    /// Appends everything that is ready.
    pub(super) fn drain(&mut self, now: Tick, out: &mut Vec<Action>) {
        self.say_role(out);
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            let number = ready.number();
            let hard = ready.hs().map(|hard| HardState {
                term: hard.get_term(),
                vote: hard.get_vote(),
                commit: hard.get_commit(),
            });
            let snapshot = match ready.snapshot() {
                snapshot if snapshot.is_empty() => None,
                snapshot => Some(from_raft(snapshot).expect("it was read when it arrived")),
            };
            let write = Write {
                number: 0,
                sync: ready.must_sync(),
                hard,
                snapshot,
                restart: None,
                compact: None,
                entries: ready.take_entries(),
            };
            let mut now_sent = self.close(now, ready.take_messages());
            let (at_once, then) = ready
                .take_persisted_messages()
                .into_iter()
                .partition(|one| {
                    let answers = one.get_msg_type() == MessageType::MsgHeartbeatResponse;
                    answers && one.term == self.term_on_disk
                });
            let at_once: Vec<_> = at_once;
            let then_sent = self.close(now, then);
            now_sent.extend(self.close(now, at_once));
            let committed = ready.take_committed_entries();
            let reads = ready.take_read_states();
            let restored = write.snapshot.clone();
            self.persist(number, write, then_sent, out, |raw| {
                raw.advance_append_async(ready);
            });
            out.extend(now_sent.into_iter().map(Action::from));
            if let Some(snapshot) = restored {
                self.restored(snapshot, out);
            }
            for entry in committed {
                self.apply(entry, out);
            }
            self.advance_applied();
            for read in reads {
                self.read_confirmed(&read.request_ctx, read.index);
            }
            self.settle();
            self.say_role(out);
        }
        self.say_reads(out);
        self.want_snapshot(out);
    }

    /// Gives out a ready's write, and keeps what has to wait for it.
    fn persist(
        &mut self,
        ready: u64,
        mut write: Write,
        then: Vec<Sending>,
        out: &mut Vec<Action>,
        advance: impl FnOnce(&mut raft::RawNode<super::LogView>),
    ) {
        let view = self.raw.mut_store();
        if let Some(hard) = write.hard {
            view.set_hard(hard);
        }
        if let Some(snapshot) = &write.snapshot {
            write.restart = Some(view.restart(snapshot.clone()));
        }
        view.append(&write.entries);
        let empty = write.hard.is_none() && write.snapshot.is_none() && write.entries.is_empty();
        advance(&mut self.raw);
        let term = write.hard.map(|hard| hard.term);
        if !empty {
            self.written += 1;
            write.number = self.written;
            out.push(Action::Persist(write));
        } else if self.persisting.is_empty() {
            self.raw.on_persist_ready(ready);
            out.extend(then.into_iter().map(Action::from));
            return;
        }
        let number = self.written;
        self.persisting.push_back(Persisting {
            number,
            ready: Some(ready),
            term,
            then,
        });
    }

    /// The writes up to this one are on the disk: what waited for them may be sent.
    pub(super) fn persisted(&mut self, number: u64, out: &mut Vec<Action>) {
        while let Some(first) = self.persisting.front() {
            if first.number > number {
                break;
            }
            let done = self.persisting.pop_front().expect("it is there");
            self.term_on_disk = done.term.unwrap_or(self.term_on_disk);
            if let Some(ready) = done.ready {
                self.raw.on_persist_ready(ready);
            }
            out.extend(done.then.into_iter().map(Action::from));
        }
        self.advance_applied();
    }

    /// Entries are given out when they are on the disk; a snapshot is given out at once, and `raft` hears
    /// of it when it is on the disk.
    fn advance_applied(&mut self) {
        let persisted = self.raw.raft.raft_log.persisted;
        self.raw.advance_apply_to(self.applied.min(persisted));
    }

    fn close(&mut self, now: Tick, messages: Vec<raft::eraftpb::Message>) -> Vec<Sending> {
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.snapshots_out.insert(message.to, now);
            }
            sent.extend(Envelope::close(self.identity, self.members(), &message));
        }
        sent
    }

    /// The state is a snapshot's from now on.
    pub(super) fn restored(&mut self, snapshot: Snapshot, out: &mut Vec<Action>) {
        let index = snapshot.index;
        self.applied = index;
        self.applied_bytes = 0;
        self.snapshot_asked = false;
        self.members.clear();
        self.members.insert(index, snapshot.members.clone());
        self.drop_proposals(index, Dropped::Unknown, out);
        let index = LogIndex(index);
        out.push(Action::Restore {
            index,
            bytes: snapshot.data,
        });
        out.push(Action::MembershipChanged {
            index,
            members: snapshot.members,
            context: None,
        });
    }

    fn apply(&mut self, entry: Entry, out: &mut Vec<Action>) {
        let index = LogIndex(entry.index);
        self.drop_proposals(entry.index - 1, Dropped::Overwritten, out);
        let proposed = self.proposals.remove(&entry.index);
        let context = match proposed {
            Some((term, context)) if term == entry.term => Some(context),
            Some((_, context)) => {
                let why = Dropped::Overwritten;
                out.push(Action::ProposalDropped { context, why });
                None
            }
            None => None,
        };
        self.applied = entry.index;
        self.applied_bytes += entry.data.len();
        match entry.entry_type {
            EntryType::EntryNormal if entry.data.is_empty() => {}
            EntryType::EntryNormal => {
                let bytes = entry.data.to_vec();
                out.push(Action::Apply {
                    index,
                    bytes,
                    context,
                });
            }
            EntryType::EntryConfChange => self.apply_change(index, &entry.data, context, out),
            // Two steps are never proposed.
            EntryType::EntryConfChangeV2 => {}
        }
    }

    /// Every server checks a change against the same members, so all of them make it or none does.
    fn apply_change(
        &mut self,
        index: LogIndex,
        data: &[u8],
        context: Option<Context>,
        out: &mut Vec<Action>,
    ) {
        let mut members = self.members().clone();
        let checked = from_entry(data).and_then(|(raft, change)| {
            members.check(change).ok()?;
            Some((raft, change))
        });
        if let Some((raft, change)) = checked {
            self.raw
                .apply_conf_change(&raft)
                .expect("a change that was checked");
            members.apply(change);
            self.members.insert(index.0, members.clone());
            let us = self.identity.server;
            if matches!(change, MemberChange::Remove { server } if server == us) {
                self.leave(out);
            }
        }
        out.push(Action::MembershipChanged {
            index,
            members,
            context,
        });
    }

    /// This server is no member any more, and hears nothing more. A leader does not remove itself, but
    /// the one before it may have: `raft` would go on sending heartbeats and take no proposals, and the
    /// others would wait for it for ever.
    fn leave(&mut self, out: &mut Vec<Action>) {
        let raft = &mut self.raw.raft;
        if raft.state == StateRole::Leader {
            raft.become_follower(raft.term, 0);
        }
        self.drop_proposals(u64::MAX, Dropped::Unknown, out);
    }

    /// Whatever was proposed for a place up to this one has not come there.
    fn drop_proposals(&mut self, up_to: u64, why: Dropped, out: &mut Vec<Action>) {
        while let Some(first) = self.proposals.first_entry() {
            if *first.key() > up_to {
                break;
            }
            let (_, context) = first.remove();
            out.push(Action::ProposalDropped { context, why });
        }
    }

    fn read_confirmed(&mut self, number: &[u8], index: u64) {
        let number = number.try_into().map(u64::from_le_bytes);
        let context = number.ok().and_then(|number| self.reads.remove(&number));
        if let Some(context) = context {
            self.reads_waiting.push_back((index, context));
        }
    }

    fn say_reads(&mut self, out: &mut Vec<Action>) {
        while let Some(&(index, context)) = self.reads_waiting.front() {
            if index > self.applied {
                break;
            }
            self.reads_waiting.pop_front();
            let index = LogIndex(index);
            out.push(Action::ReadReady { context, index });
        }
    }

    fn say_role(&mut self, out: &mut Vec<Action>) {
        let raft = &self.raw.raft;
        let role = match raft.state {
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        };
        let leader = (raft.leader_id != 0).then_some(ServerId(raft.leader_id));
        let said = (role, raft.term, leader);
        if said == self.role {
            return;
        }
        self.role = said;
        if role != Role::Leader {
            self.snapshots_out.clear();
        }
        // A leader of another term has none of the rounds that the one before had begun.
        let reads = std::mem::take(&mut self.reads).into_values();
        out.extend(reads.map(|context| Action::ReadDropped { context }));
        out.push(Action::RoleChanged {
            role,
            term: said.1,
            leader,
        });
    }

    fn want_snapshot(&mut self, out: &mut Vec<Action>) {
        let view = self.raw.store();
        let since = self.applied - view.snapshot.index;
        let long = since >= self.config.snapshot_entries
            || self.applied_bytes >= self.config.snapshot_bytes;
        if !self.snapshot_asked && since > 0 && (long || view.wanted.take()) {
            self.snapshot_asked = true;
            let index = LogIndex(self.applied);
            out.push(Action::SnapshotWanted { index });
        }
    }
}
