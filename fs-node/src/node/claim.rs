//! What only one node of the cluster is at a time, and how a node is found.

use std::time::Duration;

use dlm_client::nodes::{NODE_AT, NODE_NAMED, nodes_lockspace};
use dlm_client::{Guard, LockError, Mode};
use tokio::time::timeout;

use super::{Node, NodeError};

/// How long a node waits for the end of a session of its own name: that of its predecessor, which crashed. A lease, the
/// margin, and a fence command that takes its time.
const PREDECESSOR_MAX: Duration = Duration::from_secs(60);

/// What only one node of the cluster is at a time. Given up when dropped, or when the node's session ends.
pub struct Claim {
    guard: Guard,
}

impl Claim {
    /// The fencing token: every later holder has a larger one.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.guard.token().0
    }

    /// Whether it may be somebody else's by now.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }
}

/// By which a node is found and is the only one of its name, as long as it is kept.
pub struct Presence {
    _named: Guard,
    _at: Guard,
}

impl Node {
    /// Waits at most `length` to be the only one in the cluster that is `what`. `None`: another one was all the time.
    ///
    /// # Errors
    /// [`NodeError::Lockspace`] where the cluster cannot say.
    pub fn claim_within(&self, what: &str, length: Duration) -> Result<Option<Claim>, NodeError> {
        let runtime = self.inner.runtime();
        let asking = async { timeout(length, self.inner.lockspace.lock(what, Mode::Ex)).await };
        match runtime.block_on(asking) {
            Ok(Ok(guard)) => Ok(Some(Claim { guard })),
            Ok(Err(error)) => Err(NodeError::Lockspace(error)),
            Err(_) => Ok(None),
        }
    }

    /// Says to the cluster that the node of this name is found at `address`, `HOST:PORT`: by locks in a lockspace
    /// beside the volume's, so that whoever may list locks finds it. First the session of a predecessor has to end,
    /// which may take its lease and its fence.
    ///
    /// # Errors
    /// [`NodeError::Claimed`]: there is another node of that name. [`NodeError::Lockspace`], where the cluster cannot
    /// say.
    pub fn announce(&self, name: &str, address: &str) -> Result<Presence, NodeError> {
        let nodes = nodes_lockspace(self.lockspace());
        let announcing = async {
            let lockspace = self.inner.client.lockspace(&nodes).await?;
            let asking = lockspace.lock(format!("{NODE_NAMED}{name}"), Mode::Ex);
            let Ok(named) = timeout(PREDECESSOR_MAX, asking).await else {
                return Ok(None);
            };
            let named = named?;
            let at = lockspace
                .lock(format!("{NODE_AT}{address}"), Mode::Pr)
                .await?;
            Ok::<_, LockError>(Some(Presence {
                _named: named,
                _at: at,
            }))
        };
        match self.inner.runtime().block_on(announcing) {
            Ok(Some(presence)) => Ok(presence),
            Ok(None) => Err(NodeError::Claimed(format!(
                "another node is called {name}, and has been for {} s; give this one another --name, or end that one",
                PREDECESSOR_MAX.as_secs()
            ))),
            Err(error) => Err(NodeError::Lockspace(error)),
        }
    }
}
