//! The grant rule: what may be granted, in which order, under which token.
//!
//! As in fs/dlm (`_can_be_granted`, `grant_pending_locks`):
//!
//! - A lock is granted only in a mode compatible with every mode that another lock of the resource
//!   holds. A converting lock goes on holding its old mode.
//! - A new request is granted on arrival only where nobody converts or waits: not even NL overtakes.
//! - A conversion is granted on arrival whatever waits, unless it asked for its place in the queue
//!   (`QUECVT`) and others convert already.
//! - What queues is served in order, conversions before new requests; the head of a queue that cannot
//!   be granted stops everything behind it.
//!
//! **Tokens.** A grant's token is larger than that of every earlier grant that excludes it. Grants that
//! could be held together may share a token, and locks that are held together in PR or in CW always do:
//! of two nodes that write under CW neither may look like a late writer to the storage. So a grant takes
//! a new token in two cases only: something was granted under the present one that excludes it, or it is
//! a conversion after which others may hold other modes than before.

use super::queue::{ModeCounts, ModeSet};
use super::{LockKey, Resource, Step};
use crate::deadlock::Queue;
use crate::flags::RequestFlags;
use crate::ids::Token;
use crate::mode::Mode;
use crate::status::Status;

/// What becomes of a request or conversion on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is granted.
    Grant,
    /// It queues.
    Queue,
    /// It may not queue (`NOQUEUE`).
    TryFailed,
    /// It and a conversion that waits already would wait for each other.
    Deadlock,
    /// It would queue, and the queue is as long as it may be.
    Full,
}

impl Resource {
    /// Whether `wanted` is compatible with everything held but `own`, the mode that the lock itself
    /// holds.
    pub(crate) fn admits(&self, wanted: Mode, own: Option<Mode>) -> bool {
        self.held_without(own).admit(wanted)
    }

    /// What the other locks hold, where a lock holds `own`.
    fn held_without(&self, own: Option<Mode>) -> ModeCounts {
        let mut others = self.held;
        if let Some(mode) = own {
            others.remove(mode);
        }
        others
    }

    /// Judges a request (`own` is `None`) or a conversion from `own` that arrives.
    pub(super) fn judge(
        &self,
        wanted: Mode,
        own: Option<Mode>,
        flags: RequestFlags,
        queue_length_max: usize,
    ) -> Verdict {
        let its_turn = match own {
            Some(_) if flags.contains(RequestFlags::QUECVT) => self.converting.is_empty(),
            Some(_) => true,
            None => self.converting.is_empty() && self.waiting.is_empty(),
        };
        if its_turn && self.admits(wanted, own) {
            Verdict::Grant
        } else if flags.contains(RequestFlags::NOQUEUE) {
            Verdict::TryFailed
        } else if own.is_some_and(|own| self.would_deadlock(own)) {
            Verdict::Deadlock
        } else if self.queue_length() >= queue_length_max {
            Verdict::Full
        } else {
            Verdict::Queue
        }
    }

    /// Grants what the lock asked for, and answers the operation.
    pub(super) fn grant(&mut self, step: &mut Step<'_>, key: LockKey) {
        let own = step.locks[key].granted;
        let wanted = step.locks[key]
            .requested
            .expect("only a lock that asked is granted");
        self.leave(step, key);
        let token = self.next_token(own, wanted, &mut step.counters.token);
        let lock = &mut step.locks[key];
        lock.queue = Queue::Granted;
        lock.granted = Some(wanted);
        lock.requested = None;
        lock.told = Mode::Nl;
        lock.token = token;
        self.enter(step, key);
        let lock = &step.locks[key];
        step.out.push(lock.done(lock.op, Status::Granted));
    }

    /// Grants, in order, everything that queues and can be granted now.
    pub(super) fn grant_queued(&mut self, step: &mut Step<'_>) {
        while let Some(key) = self.next_grantable(step) {
            self.grant(step, key);
        }
    }

    /// The lock whose turn it is: nothing else that queues is granted before it.
    pub(crate) fn next_in_turn(&self) -> Option<LockKey> {
        self.converting.head().or_else(|| self.waiting.head())
    }

    /// The lock that is granted next, if one can be.
    fn next_grantable(&self, step: &Step<'_>) -> Option<LockKey> {
        let key = self.next_in_turn()?;
        let lock = &step.locks[key];
        self.admits(lock.requested?, lock.granted).then_some(key)
    }

    /// The token for a grant of `wanted` to a lock that held `own` and stands in no queue now;
    /// `counter` is the table's.
    fn next_token(&mut self, own: Option<Mode>, wanted: Mode, counter: &mut u64) -> Token {
        let others = self.held;
        let changes_room = own.is_some_and(|own| {
            Mode::ALL
                .into_iter()
                .any(|mode| others.admit(mode) && mode.compatible(own) != mode.compatible(wanted))
        });
        if self.token == Token::default() || changes_room || !self.token_modes.admit(wanted) {
            *counter += 1;
            self.token = Token(*counter);
            self.token_modes = ModeSet::default();
        }
        self.token_modes.insert(wanted);
        self.token
    }
}
