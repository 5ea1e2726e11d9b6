//! Faults of the network, put in on request: a gate in every connection, under HTTP/2 and under TLS.
//!
//! A cut looks like a cut: silence, and not a closed connection. So nothing is said to the protocols above;
//! their bytes wait, are late or are lost (`gated.rs`, `outgoing.rs`, `arriving.rs`), as a pure table decides
//! (`table.rs`). Each end of a link enforces a fault for itself: what A sends to B is not written at A and not
//! read at B. Between servers both ends do; a session's end is left alone, and the server's is enough. A delay
//! is made by one end only: the sender's between servers, the server's towards sessions.
//!
//! A connection that was dialled belongs to the server that was dialled. One that was accepted belongs to
//! nobody until whoever is at the other end has said who it is (`Caller::is`, `caller.rs`), and until then
//! nothing holds it up: calls that need no name, those of the fault service above all, are never held up. Who
//! speaks first on a connection owns it.
//!
//! What is not imitated: the kernels at both ends still acknowledge what they receive, also on a link that is
//! cut one way only, so that a sender's buffers drain further than they would; and a process that is killed
//! while its link is cut closes its connections, which an end without a gate sees.

mod arriving;
mod caller;
mod connector;
mod gated;
mod late;
mod link;
mod listener;
mod outgoing;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::time::Duration;

use dlm_core::{ServerId, Tick};
use glockwork_proto::fault::{ActiveFault, Healing, Injection, Member};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

pub use caller::{Caller, CallerLost};
pub use connector::Connector;
pub use gated::Gated;
pub use listener::Incoming;
pub use table::{FAULTS_MAX, FaultInput, FaultOutput, Faults, FaultsFull, Passage};

use link::Link;

/// The gates of one server, and the faults that they go by. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gates(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    me: Member,
    faults: watch::Sender<Faults>,
    started: Instant,
    left: Arc<Semaphore>,
}

/// The most connections that are kept open for others after this server is done with them, because a fault
/// keeps their end from being seen. Beyond that they are closed at once.
const LEFT_MAX: usize = 1024;

impl Gates {
    /// None: faults are not allowed, and nothing stands in a connection.
    #[must_use]
    pub const fn absent() -> Self {
        Self(None)
    }

    /// Those of server `me`, without any fault yet. A task on the caller's tokio runtime ends faults when their
    /// time is over, and itself with the last clone.
    #[must_use]
    pub fn new(me: ServerId) -> Self {
        let inner = Arc::new(Inner {
            me: Member::Server(me),
            faults: watch::Sender::new(Faults::default()),
            started: Instant::now(),
            left: Arc::new(Semaphore::new(LEFT_MAX)),
        });
        let faults = inner.faults.subscribe();
        tokio::spawn(end_in_time(Arc::downgrade(&inner), faults, inner.started));
        Self(Some(inner))
    }

    /// Whether faults can be put in.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        self.0.is_some()
    }

    /// Puts a fault in here; whether others are to have it is not looked at. Without gates, nothing happens.
    ///
    /// # Errors
    /// [`FaultsFull`].
    pub fn inject(&self, injection: Injection) -> Result<(), FaultsFull> {
        let outputs = self.step(FaultInput::Inject(injection));
        let mut refused = outputs.iter().filter_map(|output| match output {
            FaultOutput::Refused(full) => Some(Err(*full)),
            FaultOutput::Began(_) | FaultOutput::Ended(_) => None,
        });
        refused.next().unwrap_or(Ok(()))
    }

    /// Takes faults away here.
    pub fn heal(&self, healing: Healing) {
        self.step(FaultInput::Heal(healing));
    }

    /// The faults that there are.
    #[must_use]
    pub fn list(&self) -> Vec<ActiveFault> {
        match &self.0 {
            None => Vec::new(),
            Some(inner) => inner.faults.borrow().list(inner.now()),
        }
    }

    fn step(&self, input: FaultInput) -> Vec<FaultOutput> {
        let inner = self.0.as_ref();
        inner.map(|inner| inner.step(input)).unwrap_or_default()
    }

    /// A link to `to`, or to whoever says who it is; none where there are no gates.
    fn link(&self, to: Option<Member>) -> Option<Arc<Link>> {
        let inner = self.0.as_ref()?;
        let (me, faults) = (inner.me.clone(), inner.faults.subscribe());
        let left = Arc::clone(&inner.left);
        Some(Arc::new(Link::new(me, to, faults, left)))
    }
}

impl Inner {
    fn now(&self) -> Tick {
        let us = self.started.elapsed().as_micros();
        Tick(u64::try_from(us).unwrap_or(u64::MAX))
    }

    fn step(&self, input: FaultInput) -> Vec<FaultOutput> {
        let mut outputs = Vec::new();
        self.faults.send_if_modified(|faults| {
            faults.step(self.now(), input, &mut outputs);
            !outputs.is_empty()
        });
        for output in &outputs {
            match output {
                FaultOutput::Began(ActiveFault {
                    from, to, fault, ..
                }) => warn!(%from, %to, ?fault, "fault put in"),
                FaultOutput::Ended(ActiveFault {
                    from, to, fault, ..
                }) => warn!(%from, %to, ?fault, "fault ended"),
                FaultOutput::Refused(_) => {}
            }
        }
        outputs
    }
}

/// Waits for the next fault's end, or for another fault.
async fn end_in_time(gates: Weak<Inner>, mut faults: watch::Receiver<Faults>, started: Instant) {
    loop {
        let deadline = faults.borrow_and_update().deadline();
        // One that is too far away for the clock is as good as none.
        let at = deadline.and_then(|Tick(us)| started.checked_add(Duration::from_micros(us)));
        let over = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => match gates.upgrade() {
                Some(inner) => drop(inner.step(FaultInput::Time)),
                None => return,
            },
            changed = faults.changed() => if changed.is_err() { return },
        }
    }
}
