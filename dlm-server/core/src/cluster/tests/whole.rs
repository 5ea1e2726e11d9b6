//! Forced epochs, entries that come twice, limits.

use std::vec::Vec;

use super::*;

#[test]
fn forced_epochs_leave_no_number_that_may_have_been_used() {
    let mut cluster = Cluster::new(2);
    let session = cluster.join(1);
    cluster.open(session, "a", true);
    let before = cluster.state.clone();
    assert_eq!(cluster.apply(Command::ForceNewEpochs), Reply::Done);
    assert_eq!(cluster.state.running().count(), 0);
    for (id, slot) in cluster.state.slots() {
        let was = before.slot(id).epoch.0;
        assert_eq!(slot.epoch, Epoch(was + FORCED_EPOCHS));
    }
    let session_next = cluster.state.session_next().0;
    assert!(session_next - before.session_next().0 >= FORCED_SESSIONS);
    let wanted: Vec<_> = cluster.state.fences_wanted().collect();
    assert_eq!(wanted, [(session, FenceNeed::Command)]);
    cluster.start(1, 11);
    assert_eq!(cluster.counts(), BTreeMap::from([(1, 256)]));
    assert!(cluster.join(2).0 > FORCED_SESSIONS);
}

#[test]
fn an_entry_is_applied_once() {
    let mut cluster = Cluster::new(1);
    let before = cluster.state.clone();
    let session = SessionId(1);
    let reply = cluster.state.apply(
        before.applied(),
        Command::Goodbye { session },
        &mut Vec::new(),
    );
    assert_eq!(reply, refused(CommandRefusal::Applied));
    assert_eq!(cluster.state, before);
}

#[test]
fn limits_are_named() {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(0);
    for number in 0..limits::LOCKSPACES_OF_SESSION_MAX {
        cluster.open(session, &std::format!("lockspace {number}"), false);
    }
    assert_eq!(
        cluster.open_reply(session, "one more", false),
        refused(CommandRefusal::LockspacesOfSession)
    );
    for server in 2..=limits::SERVERS_MAX as u64 {
        assert_eq!(cluster.add(server, Role::Learner), Reply::Done);
    }
    assert_eq!(
        cluster.add(65, Role::Learner),
        refused(CommandRefusal::Servers)
    );
    let mut parts = cluster.state.parts();
    let one = parts.sessions[&session].clone();
    for number in 2..=limits::SESSIONS_MAX as u64 {
        let nonce = number.into();
        parts.sessions.insert(
            SessionId(number),
            Session {
                nonce,
                ..one.clone()
            },
        );
    }
    parts.session_next = SessionId(limits::SESSIONS_MAX as u64 + 1);
    cluster.state = ClusterState::from_parts(parts).unwrap();
    assert_eq!(
        cluster.join_attesting(u128::MAX, None),
        refused(CommandRefusal::Sessions)
    );
}
