//! One connection's place in the table of faults: between whom it is, and what happens on it now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use glockwork_proto::fault::Member;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::wrappers::WatchStream;

use super::table::{Faults, Passage};

/// A connection between this server and another member.
#[derive(Debug)]
pub(super) struct Link {
    me: Member,
    /// Not set while it is not known who is at the other end.
    peer: OnceLock<Member>,
    faults: watch::Receiver<Faults>,
    /// Whether bytes of the connection are lost, so that it cannot go on.
    lost: AtomicBool,
    left: Arc<Semaphore>,
}

impl Link {
    pub(super) fn new(
        me: Member,
        peer: Option<Member>,
        faults: watch::Receiver<Faults>,
        left: Arc<Semaphore>,
    ) -> Self {
        Self {
            me,
            peer: peer.map_or_else(OnceLock::new, OnceLock::from),
            faults,
            lost: AtomicBool::new(false),
            left,
        }
    }

    /// The other end says who it is. The first word counts.
    pub(super) fn is(&self, peer: Member) {
        let _ = self.peer.set(peer);
    }

    /// What happens to bytes that leave.
    pub(super) fn outgoing(&self) -> Passage {
        self.peer.get().map_or(Passage::Free, |peer| {
            self.faults.borrow().passage(&self.me, peer)
        })
    }

    /// What happens to bytes that arrive.
    pub(super) fn arriving(&self) -> Passage {
        let Some(peer) = self.peer.get() else {
            return Passage::Free;
        };
        match self.faults.borrow().passage(peer, &self.me) {
            // The server that sent them made them late.
            Passage::Late { .. } if matches!(peer, Member::Server(_)) => Passage::Free,
            passage => passage,
        }
    }

    /// Whether a connection is made: its first packets go both ways.
    pub(super) fn connects(&self) -> bool {
        self.outgoing().connects() && self.arriving().connects()
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Whether the connection lost bytes and this can be noticed now.
    pub(super) fn is_broken(&self) -> bool {
        let lost = self.lost.load(Ordering::Relaxed);
        lost && self.outgoing() != Passage::Lost && self.arriving() != Passage::Lost
    }

    /// An item whenever the faults change; nothing more when there are no gates any more.
    pub(super) fn changes(&self) -> WatchStream<Faults> {
        WatchStream::from_changes(self.faults.clone())
    }

    /// Waits until `is_so`, which depends on the faults; for ever when there are no gates any more.
    pub(super) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let mut faults = self.faults.clone();
        loop {
            faults.mark_unchanged();
            if is_so(self) {
                return;
            }
            if faults.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Leave to keep the connection open for the other end's sake.
    pub(super) fn leave(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.left).try_acquire_owned().ok()
    }
}
