//! Numbers of several servers as one.

use std::collections::BTreeMap;

use glockwork_proto::wire;

/// Adds other servers' numbers to those of the one that was asked. What is not a number, and who the
/// sessions are, is as that one has it.
#[must_use]
pub fn status(
    mut ours: wire::StatusReply,
    others: impl IntoIterator<Item = wire::StatusReply>,
) -> wire::StatusReply {
    for other in others {
        ours.resources += other.resources;
        ours.locks += other.locks;
        ours.waiting += other.waiting;
        let theirs = other.sessions.iter().map(|one| (one.session, one));
        let theirs: BTreeMap<u64, _> = theirs.collect();
        for session in &mut ours.sessions {
            if let Some(other) = theirs.get(&session.session) {
                session.locks += other.locks;
                session.waiting += other.waiting;
                session.operations += other.operations;
                session.streams += other.streams;
            }
        }
    }
    ours
}

/// Adds other servers' numbers of each lockspace to those of the one that was asked.
#[must_use]
pub fn lockspaces(
    mut ours: wire::LockspacesReply,
    others: impl IntoIterator<Item = wire::LockspacesReply>,
) -> wire::LockspacesReply {
    for other in others {
        let theirs = other.lockspaces.iter().map(|one| (one.id, one));
        let theirs: BTreeMap<u32, _> = theirs.collect();
        for lockspace in &mut ours.lockspaces {
            if let Some(other) = theirs.get(&lockspace.id) {
                lockspace.resources += other.resources;
                lockspace.locks += other.locks;
                lockspace.waiting += other.waiting;
                lockspace.orphans += other.orphans;
            }
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_added_and_a_session_that_only_another_knows_is_left_out() {
        let session = |session, locks| wire::SessionStatus {
            session,
            locks,
            operations: 10 * locks,
            streams: 1,
            ..wire::SessionStatus::default()
        };
        let one = wire::StatusReply {
            sessions: vec![session(1, 2), session(2, 3)],
            locks: 5,
            version: "1".into(),
            ..wire::StatusReply::default()
        };
        let other = wire::StatusReply {
            sessions: vec![session(2, 4), session(3, 1)],
            locks: 5,
            version: "2".into(),
            ..wire::StatusReply::default()
        };
        let sum = status(one, [other]);
        assert_eq!((sum.locks, &*sum.version), (10, "1"));
        let sessions: Vec<_> = sum
            .sessions
            .iter()
            .map(|one| (one.session, one.locks))
            .collect();
        assert_eq!(sessions, [(1, 2), (2, 7)]);
        assert_eq!(
            (sum.sessions[1].operations, sum.sessions[1].streams),
            (70, 2)
        );
    }

    #[test]
    fn lockspaces_are_added_by_their_numbers() {
        let lockspace = |id, orphans| wire::Lockspace {
            id,
            orphans,
            locks: 2 * orphans,
            ..wire::Lockspace::default()
        };
        let reply = |lockspaces| wire::LockspacesReply {
            lockspaces,
            ..wire::LockspacesReply::default()
        };
        let ours = reply(vec![lockspace(1, 1), lockspace(2, 2)]);
        let others = [reply(vec![lockspace(2, 5)]), reply(vec![lockspace(1, 1)])];
        let sum = lockspaces(ours, others);
        assert_eq!(sum.lockspaces, [lockspace(1, 2), lockspace(2, 7)]);
    }
}
