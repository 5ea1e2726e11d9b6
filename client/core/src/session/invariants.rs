//! What is always true of a session. Checked after every step where debug assertions are on, and by tests.
//!
//! | name | what | who relies on it |
//! |---|---|---|
//! | `silent-when-over` | a session that is over has no lock, no operation, no stream | nobody works under a lost lock |
//! | `lease-while-live` | a session that lives has a lease | the end comes before the cluster's |
//! | `book-indexed` | the lock book's search trees agree | claims name every lock |
//! | `ops-indexed` | so do those of the operations | nothing is left out when a slot moves |
//! | `pending-known` | what is in progress on a lock is an operation of its slot on it | a claim says what was sent |
//! | `lock-has-reason` | a lock holds a mode, or something is in progress on it | no lock is claimed that is none |
//! | `held-has-token` | a lock that holds a mode has a token | the new master believes the claim |
//! | `sent-or-unsent` | an operation was sent, or waits to be | every operation is answered |
//! | `numbers-in-order` | messages that may be sent again have numbers without gaps up to the last | each is applied once |

use core::fmt;

use dlm_core::Token;

use super::link::ToServer;
use super::{Phase, Session};

/// An invariant that does not hold: a bug, in this crate or in its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the table above.
    pub invariant: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invariant = self.invariant;
        write!(
            f,
            "the session breaks its invariant `{invariant}`; this is a bug, report it"
        )
    }
}

impl core::error::Error for Violation {}

type Check = fn(&Session) -> bool;

const CHECKS: [(&str, Check); 9] = [
    ("silent-when-over", silent_when_over),
    ("lease-while-live", lease_while_live),
    ("book-indexed", |session| session.book.is_indexed()),
    ("ops-indexed", ops_indexed),
    ("pending-known", pending_known),
    ("lock-has-reason", lock_has_reason),
    ("held-has-token", held_has_token),
    ("sent-or-unsent", sent_or_unsent),
    ("numbers-in-order", numbers_in_order),
];

/// Checks them all.
///
/// # Errors
/// The first that does not hold.
pub fn check(session: &Session) -> Result<(), Violation> {
    match CHECKS.iter().find(|(_, holds)| !holds(session)) {
        Some(&(invariant, _)) => Err(Violation { invariant }),
        None => Ok(()),
    }
}

fn silent_when_over(session: &Session) -> bool {
    session.phase != Phase::Over
        || (session.book.len() == 0
            && session.ops.is_empty()
            && session.everywhere.is_empty()
            && session.streams.is_empty())
}

fn lease_while_live(session: &Session) -> bool {
    matches!(session.phase, Phase::Live | Phase::Leaving) == session.lease.is_some()
}

fn ops_indexed(session: &Session) -> bool {
    let mut ops = session.ops.iter();
    session.ops.len() == session.by_slot.len()
        && ops.all(|(&op, entry)| session.by_slot.contains(&(entry.slot, op)))
        && session.unsent.is_subset(&session.by_slot)
}

fn pending_known(session: &Session) -> bool {
    session.book.iter().all(|(id, lock)| {
        let pending = lock.pending;
        let mut ops = [pending.main, pending.cancel, pending.unlock]
            .into_iter()
            .flatten();
        ops.all(|op| {
            let entry = session.ops.get(&op);
            entry.is_some_and(|entry| entry.kind.lock() == id && entry.slot == lock.slot())
        })
    })
}

fn lock_has_reason(session: &Session) -> bool {
    let mut locks = session.book.iter();
    locks.all(|(_, lock)| lock.granted.is_some() || lock.pending.any())
}

fn held_has_token(session: &Session) -> bool {
    let mut locks = session.book.iter();
    locks.all(|(_, lock)| lock.granted.is_none() || lock.token != Token(0))
}

fn sent_or_unsent(session: &Session) -> bool {
    let mut ops = session.ops.iter();
    ops.all(|(&op, entry)| entry.sent || session.unsent.contains(&(entry.slot, op)))
}

fn numbers_in_order(session: &Session) -> bool {
    session.streams.values().all(|stream| {
        let numbers = stream.unanswered.iter().map(|message| match *message {
            ToServer::Operation { number, .. }
            | ToServer::Everywhere { number, .. }
            | ToServer::Claims { number, .. }
            | ToServer::Unreadable { number, .. } => number,
            ToServer::Hello(_) | ToServer::Acknowledge { .. } => 0,
        });
        let count = stream.unanswered.len() as u64;
        stream.number >= count && numbers.eq(stream.number - count + 1..=stream.number)
    })
}
