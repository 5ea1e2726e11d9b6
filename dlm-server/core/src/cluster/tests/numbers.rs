//! The numbers of lockspaces that come and go.

use super::*;
use crate::ids::{BASES, GENERATION_BITS, GENERATION_MAX, LockspaceBase};
use limits::{ENDED_LOCKSPACES_MAX, LOCKSPACES_OF_SESSION_MAX};

fn id(base: u32, generation: u32) -> LockspaceId {
    LockspaceId(base << GENERATION_BITS | generation)
}

fn base(number: u32) -> LockspaceBase {
    LockspaceBase::new(number).expect("a base")
}

/// A cluster with a session that opens and leaves.
fn cluster() -> (Cluster, SessionId) {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(1);
    (cluster, session)
}

impl Cluster {
    fn leave(&mut self, session: SessionId, lockspace: LockspaceId) {
        let left = self.apply(Command::LeaveLockspace { session, lockspace });
        assert_eq!(left, Reply::Done);
    }

    /// Opens a lockspace and leaves it, with which it ends.
    fn visit(&mut self, session: SessionId, name: &str) -> LockspaceId {
        let (lockspace, _) = self.open(session, name, false);
        self.leave(session, lockspace);
        lockspace
    }

    fn change(&mut self, change: impl FnOnce(&mut LockspaceNumbers)) {
        let mut parts = self.state.parts();
        change(&mut parts.numbers);
        self.state = ClusterState::from_parts(parts).expect("a good state");
    }
}

#[test]
fn a_name_that_comes_back_has_its_base_and_another_number() {
    let (mut cluster, session) = cluster();
    assert_eq!(cluster.visit(session, "a"), id(0, 1));
    assert_eq!(cluster.visit(session, "a"), id(0, 2));
    assert_eq!(cluster.visit(session, "b"), id(1, 1));
    assert_eq!(cluster.visit(session, "a"), id(0, 3));
    // An open one is another session's too, and no new one.
    let (open, _) = cluster.open(session, "a", false);
    assert_eq!(open, id(0, 4));
    let other = cluster.join(2);
    assert_eq!(cluster.open(other, "a", false).0, open);
    cluster.leave(session, open);
    assert_eq!(cluster.open(session, "a", false).0, open);
    assert_eq!(cluster.visit(session, "b"), id(1, 2));
}

#[test]
fn what_a_lockspace_was_like_ends_with_it() {
    let (mut cluster, session) = cluster();
    let (first, _) = cluster.open(session, "a", true);
    cluster.leave(session, first);
    let (second, _) = cluster.open(session, "a", false);
    assert!(!cluster.state.lockspaces()[&second].options.replayed);
    assert_eq!(second, id(0, 2));
}

#[test]
fn the_one_that_ended_first_is_forgotten() {
    let (mut cluster, session) = cluster();
    let (kept, _) = cluster.open(session, "open all the time", false);
    cluster.visit(session, "first");
    cluster.visit(session, "second");
    cluster.visit(session, "first");
    for number in 2..ENDED_LOCKSPACES_MAX {
        cluster.visit(session, &std::format!("other {number}"));
    }
    let ended = |cluster: &Cluster| cluster.state.lockspace_numbers().ended.len();
    assert_eq!(ended(&cluster), ENDED_LOCKSPACES_MAX);
    assert_eq!(cluster.visit(session, "second"), id(2, 2), "remembered");
    cluster.visit(session, "one more");
    assert_eq!(ended(&cluster), ENDED_LOCKSPACES_MAX);
    let forgotten = cluster.visit(session, "first");
    assert_eq!(forgotten, id(ENDED_LOCKSPACES_MAX as u32 + 2, 1));
    assert_eq!(cluster.open(session, "open all the time", false).0, kept);
}

/// Several end with one entry: which of them is forgotten is the same on every server.
#[test]
fn of_those_that_ended_together_the_lowest_base_is_forgotten() {
    let (mut cluster, session) = cluster();
    for number in 0..LOCKSPACES_OF_SESSION_MAX {
        cluster.open(session, &std::format!("{number}"), false);
    }
    cluster.apply(Command::Goodbye { session });
    let session = cluster.join(2);
    for number in 0..=ENDED_LOCKSPACES_MAX - LOCKSPACES_OF_SESSION_MAX {
        cluster.visit(session, &std::format!("other {number}"));
    }
    assert_eq!(cluster.visit(session, "1"), id(1, 2));
    assert_eq!(cluster.visit(session, "0").generation(), 1);
}

/// More names than there are bases: those of forgotten ones are given out again, and no number is.
#[test]
fn a_base_that_goes_to_another_name_brings_no_number_back() {
    let (mut cluster, session) = cluster();
    let (kept, _) = cluster.open(session, "kept", false);
    assert_eq!(cluster.visit(session, "remembered"), id(1, 1));
    let last = BASES - 1;
    // Only the bookkeeping of those bases, in place of visiting them all.
    cluster.change(|numbers| {
        let used = (2..BASES).map(|number| (base(number), 2));
        numbers.generations.extend(used);
        numbers.base_next = base(last);
    });
    assert_eq!(cluster.visit(session, "a"), id(last, 2));
    // The first two are in use.
    assert_eq!(cluster.visit(session, "b"), id(2, 2));
    assert_eq!(cluster.visit(session, "remembered"), id(1, 2));
    assert_eq!(cluster.visit(session, "c"), id(3, 2));
    assert_eq!(cluster.open(session, "kept", false).0, kept);
}

#[test]
fn a_name_whose_generations_are_used_up_gets_another_base() {
    let (mut cluster, session) = cluster();
    cluster.visit(session, "a");
    cluster.change(|numbers| _ = numbers.generations.insert(base(0), GENERATION_MAX));
    assert_eq!(cluster.visit(session, "a"), id(0, GENERATION_MAX));
    assert_eq!(cluster.visit(session, "a"), id(1, 1));
    assert_eq!(cluster.visit(session, "a"), id(1, 2));
    assert_eq!(cluster.state.lockspace_numbers().ended.len(), 1);
}

#[test]
fn no_number_left_is_a_refusal_that_forgets_nothing() {
    let (mut cluster, session) = cluster();
    cluster.visit(session, "a");
    let exhausted = (0..BASES).map(|number| (base(number), GENERATION_MAX + 1));
    cluster.change(|numbers| numbers.generations.extend(exhausted));
    let before = cluster.state.lockspace_numbers().clone();
    for name in ["a", "b"] {
        let reply = cluster.open_reply(session, name, false);
        assert_eq!(reply, refused(CommandRefusal::Exhausted));
    }
    assert_eq!(*cluster.state.lockspace_numbers(), before);
}

#[test]
fn forced_epochs_go_beyond_numbers_that_lost_entries_may_have_used() {
    let (mut cluster, session) = cluster();
    cluster.visit(session, "a");
    cluster.apply(Command::ForceNewEpochs);
    let session = cluster.join(2);
    let again = cluster.visit(session, "a");
    assert_eq!(again, id(0, 2 + FORCED_GENERATIONS));
    let new = cluster.visit(session, "b");
    assert_eq!(new, id(1, 1 + FORCED_GENERATIONS));
    let steps = GENERATION_MAX / FORCED_GENERATIONS;
    for _ in 0..=steps {
        cluster.apply(Command::ForceNewEpochs);
    }
    let session = cluster.join(3);
    let reply = cluster.open_reply(session, "a", false);
    assert_eq!(reply, refused(CommandRefusal::Exhausted));
}
