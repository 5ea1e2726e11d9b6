//! Joining, ending, lockspaces.

use super::*;

#[test]
fn joining_twice_with_a_nonce_is_joining_once() {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(7);
    assert_eq!(cluster.join(7), session);
    assert_ne!(cluster.join(8), session);
    cluster.expire(session);
    assert_eq!(
        cluster.join_attesting(7, None),
        refused(CommandRefusal::SessionDead)
    );
}

#[test]
fn a_version_that_all_speak_is_found_and_never_left() {
    let mut cluster = Cluster::new(2);
    assert_eq!(
        cluster.start_speaking(1, 10, Versions { min: 1, max: 2 }),
        Reply::Started {
            incarnation: Incarnation(cluster.at)
        }
    );
    assert_eq!(cluster.state.version(), 1);
    cluster.start_speaking(2, 20, Versions { min: 1, max: 3 });
    assert_eq!(cluster.state.version(), 2);
    // Down or not, a server that comes back has to understand the log.
    cluster.lose(1);
    let old = refused(CommandRefusal::Versions { min: 2, max: 2 });
    assert_eq!(cluster.start(1, 11), old);
    assert_eq!(cluster.start(2, 21), old);
    assert_eq!(
        cluster.join_attesting(7, None),
        Reply::Joined {
            session: SessionId(1),
            joined: LogIndex(cluster.at),
            version: 1
        }
    );
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(1);
    let (lockspace, _) = cluster.open(session, "a", true);
    assert_eq!(cluster.apply(Command::Goodbye { session }), Reply::Done);
    let dirty = true;
    assert_eq!(
        cluster.effects,
        [
            Effect::SessionPurged { session, dirty },
            Effect::LockspaceEnded { lockspace }
        ]
    );
    assert_eq!(
        cluster.apply(Command::Goodbye { session }),
        refused(CommandRefusal::NoSuchSession)
    );
}

#[test]
fn a_lockspace_that_ended_comes_back_under_another_number() {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(1);
    let (first, _) = cluster.open(session, "a", false);
    assert_eq!(cluster.open(session, "a", false).0, first);
    assert!(matches!(
        cluster.open_reply(session, "a", true),
        Reply::Refused(CommandRefusal::Options(_))
    ));
    let lockspace = first;
    let leave = Command::LeaveLockspace { session, lockspace };
    assert_eq!(cluster.apply(leave.clone()), Reply::Done);
    assert!(
        cluster
            .effects
            .contains(&Effect::LockspaceEnded { lockspace })
    );
    assert_eq!(
        cluster.apply(leave),
        refused(CommandRefusal::LockspaceNotOpen)
    );
    assert!(cluster.open(session, "a", true).0 > first);
}
