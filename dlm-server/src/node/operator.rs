//! What is done for whoever looks after the cluster, and for the deadlock search: a wait that is part of a
//! deadlock ends, and orphans go.
//!
//! Both are answered at once. They do not wait at the gate: while this server may not serve, whoever asks is
//! told so, and a deadlock that stands is found again.

use dlm_core::deadlock::Victim;
use dlm_core::link::Event;
use dlm_core::recovery::{PhaseName, SlotInput, SlotOutput};
use dlm_core::{LockspaceId, Output as TableOutput, Owner, SessionId, SlotId, Status};
use thiserror::Error;

use super::Node;
use super::masters::{Key, Mastered};
use super::message::Output;

/// An order under way, as whoever gives it numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The wait ended.
    WaitEnded,
    /// It had ended before: it was no deadlock any more.
    NoSuchWait,
    /// Orphans went.
    Purged {
        /// How many.
        locks: u64,
        /// In which slots it was looked: those that this server serves.
        slots: Vec<SlotId>,
    },
    /// Nothing was done.
    Refused(OrderRefusal),
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderRefusal {
    /// This server's own lease does not hold.
    #[error("the server has no lease now and may not serve; try again in a second")]
    NoLease,
    /// This server does not serve the slot in that epoch.
    #[error("the server does not serve that slot in that epoch; ask where it is")]
    NotMaster,
    /// The session is not known.
    #[error("there is no such session (any more)")]
    NoSuchSession,
    /// What it left goes when it is purged.
    #[error("the session is dead; its locks go when it is fenced")]
    SessionDead,
    /// The lockspace is not known.
    #[error("there is no such lockspace (any more)")]
    NoSuchLockspace,
}

impl Node {
    /// Ends a wait, if it is still that wait. A dead session's waits end with it.
    pub(super) fn end_wait(&mut self, key: Key, victim: Victim, out: &mut Vec<Output>) -> Ordered {
        if !self.may_serve() {
            return Ordered::Refused(OrderRefusal::NoLease);
        }
        if !self.serves(key) {
            return Ordered::Refused(OrderRefusal::NotMaster);
        }
        let Victim {
            session,
            lock,
            serial,
        } = victim;
        if !self.is_live(session) {
            return Ordered::NoSuchWait;
        }
        let said = self.step_recorded(
            key,
            SlotInput::EndWait {
                session,
                lock,
                serial,
            },
        );
        let is_end = |output: &SlotOutput| {
            matches!(output, SlotOutput::Table(TableOutput::Done { session: of, lock: its, status, .. })
                if (*of, *its, *status) == (session, lock, Status::Deadlock))
        };
        let ended = said.iter().any(is_end);
        self.heed(key, said, out);
        if ended {
            Ordered::WaitEnded
        } else {
            Ordered::NoSuchWait
        }
    }

    /// Takes a session's orphans away in all slots that are served here.
    pub(super) fn purge_orphans(
        &mut self,
        session: SessionId,
        (lockspace, owner): (LockspaceId, Option<Owner>),
        out: &mut Vec<Output>,
    ) -> Ordered {
        let known = self.state.sessions().get(&session);
        let refusal = match known {
            _ if !self.state.lockspaces().contains_key(&lockspace) => {
                Some(OrderRefusal::NoSuchLockspace)
            }
            None => Some(OrderRefusal::NoSuchSession),
            Some(known) if !known.is_live() => Some(OrderRefusal::SessionDead),
            Some(_) if !self.may_serve() => Some(OrderRefusal::NoLease),
            Some(_) => None,
        };
        if let Some(why) = refusal {
            return Ordered::Refused(why);
        }
        let keys = self.masters.all.keys().copied();
        let keys: Vec<Key> = keys.filter(|&key| self.serves(key)).collect();
        let slots = keys.iter().map(|&(slot, _)| slot).collect();
        let mut locks = 0;
        for key in keys {
            let order = SlotInput::PurgeOrphans {
                session,
                lockspace,
                owner,
            };
            let mastered = self.masters.all.get(&key);
            let orphans = mastered.map_or_else(Vec::new, |mastered| {
                mastered.master.table().orphans(session, (lockspace, owner))
            });
            let mut said = self.step_recorded(key, order);
            // The session did not ask, and has no operation that this is the answer to.
            said.retain(|output| match output {
                SlotOutput::Table(TableOutput::Purged { locks: gone, .. }) => {
                    locks += u64::from(*gone);
                    false
                }
                _ => true,
            });
            self.heed(key, said, out);
            // It has them in its book still, and would claim them when this master is lost.
            for lock in orphans {
                self.tell(session, Some(key), Event::OrphanPurged { lock }, out);
            }
        }
        Ordered::Purged { locks, slots }
    }

    /// Whether anything may be done to a table now: nothing overtakes what waits for the lease.
    fn may_serve(&self) -> bool {
        self.lease.holds(self.now) && self.masters.gate_is_open()
    }

    /// Whether this server serves the slot in that epoch, and it is the newest one as far as it knows.
    fn serves(&self, (slot, epoch): Key) -> bool {
        let serving = |it: &Mastered| it.master.phase() == PhaseName::Serving;
        let mastered = self.masters.all.get(&(slot, epoch));
        self.state.slot(slot).epoch == epoch && mastered.is_some_and(serving)
    }
}
