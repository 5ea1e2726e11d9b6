//! The invariants on sessions that were broken on purpose.

use super::*;

/// A session with one lock held and one operation under way.
fn busy() -> Session {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    stage.operate(2, request(2, "b", Mode::Ex, RequestFlags::empty()));
    stage.session
}

#[test]
fn each_invariant_notices_what_it_is_about() {
    type Break = fn(&mut Session);
    let breaks: [(&str, Break); 9] = [
        ("silent-when-over", |session| {
            session.phase = Phase::Over;
            session.lease = None;
        }),
        ("lease-while-live", |session| session.lease = None),
        ("book-indexed", |session| {
            let lock = session.book.get_mut(LockId(1)).expect("a lock");
            lock.first = OpId(9);
        }),
        ("ops-indexed", |session| session.by_slot.clear()),
        ("pending-known", |session| {
            let lock = session.book.get_mut(LockId(1)).expect("a lock");
            lock.pending.cancel = Some(OpId(2));
        }),
        ("lock-has-reason", |session| {
            session.book.get_mut(LockId(1)).expect("a lock").granted = None;
        }),
        ("held-has-token", |session| {
            session.book.get_mut(LockId(1)).expect("a lock").token = Token(0);
        }),
        ("sent-or-unsent", |session| {
            session.ops.get_mut(&OpId(2)).expect("it").sent = false;
        }),
        ("numbers-in-order", |session| {
            let mut streams = session.streams.values_mut();
            streams.next().expect("a stream").number += 1;
        }),
    ];
    assert_eq!(invariants::check(&busy()), Ok(()));
    for (invariant, breaks) in breaks {
        let mut session = busy();
        breaks(&mut session);
        assert_eq!(
            invariants::check(&session),
            Err(invariants::Violation { invariant })
        );
    }
}
