//! What becomes of the dead.

use std::vec;
use std::vec::Vec;

use super::*;

#[test]
fn a_dead_session_is_purged_when_it_is_fenced() {
    let mut cluster = Cluster::new(1);
    let session = cluster.join(1);
    cluster.open(session, "a", false);
    assert_eq!(
        cluster.fence(session),
        refused(CommandRefusal::SessionLives)
    );
    assert_eq!(cluster.expire(session), Reply::Done);
    let need = FenceNeed::Configured;
    let wanted = Effect::FenceWanted { session, need };
    assert!(cluster.effects.contains(&wanted));
    let reason = Reason::lossy("the power switch does not answer");
    for failures in 1..3 {
        let outcome = FenceOutcome::Failed(reason.clone());
        cluster.apply(Command::FenceResult { session, outcome });
        assert_eq!(cluster.effects, [Effect::FenceFailed { session, failures }]);
    }
    let wanted: Vec<_> = cluster.state.fences_wanted().collect();
    assert_eq!(wanted, [(session, FenceNeed::Configured)]);
    assert_eq!(cluster.fence(session), Reply::Done);
    assert!(cluster.purged(session));
    assert_eq!(
        cluster.fence(session),
        refused(CommandRefusal::NoSuchSession)
    );
}

#[test]
fn a_journal_is_replayed_before_the_purge_and_other_lockspaces_do_not_wait() {
    let mut cluster = Cluster::new(1);
    let (dead, other) = (cluster.join(1), cluster.join(2));
    let (journal, _) = cluster.open(dead, "fs", true);
    let (plain, _) = cluster.open(dead, "locks", false);
    cluster.open(other, "fs", true);
    cluster.expire(dead);
    let wanted: Vec<_> = cluster.state.fences_wanted().collect();
    assert_eq!(wanted, [(dead, FenceNeed::Command)]);
    cluster.fence(dead);
    let replay = Replay {
        dead,
        lockspace: journal,
        by: Some(other),
    };
    assert_eq!(
        cluster.effects,
        [
            Effect::LockspaceLeft {
                session: dead,
                lockspace: plain,
                dirty: true
            },
            Effect::LockspaceEnded { lockspace: plain },
            Effect::ReplayWanted(replay),
        ]
    );
    assert_eq!(cluster.fence(dead), refused(CommandRefusal::Fenced));
    // Who owes a replay does not go.
    let (session, lockspace) = (other, journal);
    let leave = Command::LeaveLockspace { session, lockspace };
    assert_eq!(cluster.apply(leave), refused(CommandRefusal::ReplayOwed));
    assert_eq!(
        cluster.apply(Command::Goodbye { session }),
        refused(CommandRefusal::ReplayOwed)
    );
    assert_eq!(
        cluster.replayed(dead, plain, other),
        refused(CommandRefusal::NoSuchReplay)
    );
    assert_eq!(cluster.replayed(dead, journal, other), Reply::Done);
    assert!(cluster.purged(dead));
    assert_eq!(cluster.apply(Command::Goodbye { session }), Reply::Done);
}

#[test]
fn a_replayer_that_dies_is_fenced_before_another_is_named() {
    let mut cluster = Cluster::new(1);
    let (dead, second, third) = (cluster.join(1), cluster.join(2), cluster.join(3));
    let mut journal = LockspaceId(0);
    for session in [dead, second, third] {
        journal = cluster.open(session, "fs", true).0;
    }
    cluster.expire(dead);
    cluster.fence(dead);
    let named = |by| Replay {
        dead,
        lockspace: journal,
        by,
    };
    assert_eq!(cluster.named(), [named(Some(second))]);
    let failed = Command::ReplayerFailed(NamedReplay {
        dead,
        lockspace: journal,
        by: second,
    });
    assert_eq!(cluster.apply(failed), Reply::Done);
    assert_eq!(
        cluster.named(),
        [named(Some(second))],
        "not before its fence"
    );
    // What it says now comes too late: it may have been interrupted.
    assert_eq!(
        cluster.replayed(dead, journal, second),
        refused(CommandRefusal::SessionDead)
    );
    cluster.fence(second);
    let of_second = Replay {
        dead: second,
        ..named(Some(third))
    };
    assert_eq!(cluster.named(), [named(Some(third)), of_second]);
    cluster.replayed(dead, journal, third);
    assert!(cluster.purged(dead));
    cluster.replayed(second, journal, third);
    assert!(cluster.purged(second));
}

#[test]
fn with_nobody_there_the_next_to_open_replays() {
    let mut cluster = Cluster::new(1);
    let dead = cluster.join(1);
    let (lockspace, _) = cluster.open(dead, "fs", true);
    cluster.expire(dead);
    cluster.fence(dead);
    let replay = |by| Replay {
        dead,
        lockspace,
        by,
    };
    assert_eq!(cluster.effects, [Effect::ReplayWanted(replay(None))]);
    let next = cluster.join(2);
    assert_eq!(cluster.named(), [replay(None)], "it has not opened it");
    assert_eq!(cluster.open(next, "fs", true), (lockspace, vec![dead]));
    assert!(
        cluster
            .effects
            .contains(&Effect::ReplayWanted(replay(Some(next))))
    );
    // The answer was lost: it is told again.
    assert_eq!(cluster.open(next, "fs", true), (lockspace, vec![dead]));
    cluster.replayed(dead, lockspace, next);
    assert!(cluster.purged(dead));
    assert_eq!(cluster.open(next, "fs", true), (lockspace, vec![]));
}

#[test]
fn a_client_that_ended_itself_attests_and_is_not_fenced() {
    let mut cluster = Cluster::new(1);
    let (one, two) = (cluster.join(1), cluster.join(2));
    let (lockspace, _) = cluster.open(one, "fs", true);
    cluster.open(two, "locks", false);
    cluster.expire(one);
    let attest = |session, nonce| Some(Attest { session, nonce });
    assert_eq!(
        cluster.join_attesting(11, attest(one, 2)),
        refused(CommandRefusal::NotYours)
    );
    assert!(matches!(
        cluster.join_attesting(11, attest(one, 1)),
        Reply::Joined { .. }
    ));
    assert_eq!(cluster.state.fences_wanted().count(), 0);
    assert_eq!(
        cluster.named().len(),
        1,
        "its journal is replayed all the same"
    );
    let back = cluster.join(11);
    assert_eq!(cluster.open(back, "fs", true), (lockspace, vec![one]));
    // The cluster had not noticed that the second was gone.
    cluster.join_attesting(12, attest(two, 2));
    assert!(cluster.purged(two));
    // Twice is once, and a session that is gone is nothing to attest.
    assert!(matches!(
        cluster.join_attesting(13, attest(two, 2)),
        Reply::Joined { .. }
    ));
}
