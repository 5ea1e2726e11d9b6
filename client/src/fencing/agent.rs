//! What the agent does about a dead session.
//!
//! **It answers only when the session's processes are surely gone**, and it stops nobody else's: a container that was
//! started after the session had joined runs another session, which got the same name later. Without this a node that
//! came back by itself would be killed for the session that it had lost, and so on without end.
//!
//! One order is carried out after the other, until a container that was stopped is started again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dlm_core::SessionId;
use dlm_core::cluster::Timing;
use glockwork_proto::fence::{FENCE_CONTAINERS_MAX, FenceAnswer, FenceOrder, FenceOutcome};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, sleep};

use super::engine::{Container, Engine, EngineError};
use super::{CLUSTER_LABEL, NODE_LABEL};

/// How long a killed process may take to end: one in a system call that cannot be interrupted has to end that first.
const GONE_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The most orders that may wait for their turn: more than a cluster has nodes that die at once.
const ORDERS_MAX: usize = 64;
/// The most nodes of which it is remembered what was fenced; one that is forgotten is stopped once too often.
const REMEMBERED_MAX: usize = 4096;

/// What becomes of a node's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is killed, and started again.
    Reboot,
    /// It is killed, and somebody has to start it again.
    Off,
}

/// What becomes of sessions that have no container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They are believed to keep to their lease: what is left of it is waited for.
    Lease,
    /// Nobody vouches for them, and somebody has to: `dlm fence confirm`.
    Refuse,
}

/// An agent's settings, and whom it tells what it does.
#[derive(Clone)]
pub struct AgentConfig {
    /// What becomes of containers.
    pub action: Action,
    /// What becomes of whoever has none.
    pub others: Others,
    /// The cluster whose containers are its own, by [`CLUSTER_LABEL`]; without one all are.
    pub cluster: Option<String>,
    /// Is told what it does, a line each.
    pub tell: fn(&str),
}

/// Why a session may still write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No container has the name.
    #[error(
        "no container has the label {NODE_LABEL}={name}; see that it is down and say dlm fence confirm, or let the \
         lease be enough with --others lease"
    )]
    NoContainer {
        /// The session's.
        name: String,
    },
    /// Too many ask.
    #[error("{ORDERS_MAX} sessions wait for their fence already; ask again later")]
    Busy,
    /// The agent stops.
    #[error("the fence agent stops; ask again when it runs")]
    Stops,
    /// A process does not end.
    #[error("container {container} was killed and runs on for {} s; look at its host", GONE_MAX.as_secs())]
    RunsOn {
        /// Its name.
        container: String,
    },
}

/// An agent. Clones are the same one.
#[derive(Clone)]
pub struct Agent {
    engine: Engine,
    config: AgentConfig,
    fenced: Arc<Mutex<Fenced>>,
    orders: Arc<Semaphore>,
}

/// By the name that a node has in a cluster, the last session that is fenced: so are all before it, which had joined
/// by then.
type Fenced = BTreeMap<(u128, String), SessionId>;

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// One that speaks to this engine.
    #[must_use]
    pub fn new(engine: Engine, config: AgentConfig) -> Self {
        Self {
            engine,
            config,
            fenced: Arc::default(),
            orders: Arc::new(Semaphore::new(ORDERS_MAX)),
        }
    }

    /// The engine that it speaks to.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns when the session surely writes nothing more. Whoever stops waiting may ask again.
    ///
    /// # Errors
    /// [`FenceError`]: it may.
    pub async fn fence(&self, order: &FenceOrder) -> Result<FenceAnswer, FenceError> {
        let joined = SystemTime::now().checked_sub(Duration::from_micros(order.age_us));
        let outcome = self.carry_out(order, joined).await;
        let (session, name) = (order.session.0, order.name.as_str());
        let said = match &outcome {
            Ok(answer) => format!("session {session} of {name} is fenced: {}", Said(answer)),
            Err(error) => format!("session {session} of {name} is not fenced: {error}"),
        };
        (self.config.tell)(&said);
        outcome
    }

    async fn carry_out(
        &self,
        order: &FenceOrder,
        joined: Option<SystemTime>,
    ) -> Result<FenceAnswer, FenceError> {
        let room = Arc::clone(&self.orders).try_acquire_owned();
        let room = room.map_err(|_| FenceError::Busy)?;
        let (agent, theirs) = (self.clone(), order.clone());
        // Whoever stops waiting must not leave a container that was stopped and is not started again.
        let stopping = tokio::spawn(async move {
            let _room = room;
            let fenced = Arc::clone(&agent.fenced).lock_owned().await;
            agent.stop(&theirs, joined, fenced).await
        });
        match stopping.await.map_err(|_| FenceError::Stops)?? {
            Some(answer) => Ok(answer),
            None => self.others(order).await,
        }
    }

    /// Stops the session's containers; `None` where it has none.
    async fn stop(
        &self,
        order: &FenceOrder,
        joined: Option<SystemTime>,
        mut fenced: OwnedMutexGuard<Fenced>,
    ) -> Result<Option<FenceAnswer>, FenceError> {
        let name = order.name.as_str().to_owned();
        let key = order.cluster.map(|cluster| (cluster, name));
        let last = key.as_ref().and_then(|key| fenced.get(key));
        if last.is_some_and(|&last| order.session <= last) {
            return Ok(Some(FenceAnswer {
                outcome: FenceOutcome::Earlier,
                containers: Vec::new(),
            }));
        }
        let containers = self.containers(order).await?;
        if containers.is_empty() {
            return Ok(None);
        }
        let now = SystemTime::now();
        let running = containers.iter().filter(|one| one.runs);
        let (later, theirs): (Vec<_>, Vec<_>) = running.partition(|one| is_later(one, joined, now));
        for container in &theirs {
            self.kill(container).await?;
        }
        if let Some(key) = key {
            remember(&mut fenced, key, order.session);
        }
        if self.config.action == Action::Reboot {
            let stopped = theirs.iter().map(|&one| one.clone()).collect();
            let agent = self.clone();
            // The session is fenced whether its node comes back or not; the next order waits for that.
            tokio::spawn(async move {
                let _fenced = fenced;
                agent.start(stopped).await;
            });
        }
        let outcome = match (theirs.is_empty(), later.is_empty()) {
            (false, _) => FenceOutcome::Killed,
            (true, false) => FenceOutcome::Earlier,
            (true, true) => FenceOutcome::Down,
        };
        let names = containers.into_iter().map(|one| one.name);
        Ok(Some(FenceAnswer {
            outcome,
            containers: names.take(FENCE_CONTAINERS_MAX).collect(),
        }))
    }

    async fn containers(&self, order: &FenceOrder) -> Result<Vec<Container>, EngineError> {
        let mut labels = vec![(NODE_LABEL, order.name.as_str())];
        labels.extend(
            self.config
                .cluster
                .as_deref()
                .map(|cluster| (CLUSTER_LABEL, cluster)),
        );
        self.engine.containers(&labels).await
    }

    /// Somebody whose container is not here, if it has one at all.
    async fn others(&self, order: &FenceOrder) -> Result<FenceAnswer, FenceError> {
        if self.config.others == Others::Refuse {
            return Err(FenceError::NoContainer {
                name: order.name.as_str().to_owned(),
            });
        }
        let whole_us = Timing::DEFAULT.session_lease_us;
        sleep(Duration::from_micros(
            order.lease_left_us.unwrap_or(whole_us),
        ))
        .await;
        Ok(FenceAnswer {
            outcome: FenceOutcome::Lease,
            containers: Vec::new(),
        })
    }

    /// Returns when the container's process is gone.
    async fn kill(&self, container: &Container) -> Result<(), FenceError> {
        self.engine.kill(&container.id).await?;
        let until = Instant::now() + GONE_MAX;
        loop {
            match self.engine.container(&container.id).await? {
                // Somebody has started it again since.
                Some(now) if now.runs && now.started == container.started => {}
                _ => return Ok(()),
            }
            if Instant::now() >= until {
                let container = container.name.clone();
                return Err(FenceError::RunsOn { container });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn start(&self, containers: Vec<Container>) {
        for Container { id, name, .. } in containers {
            let said = match self.engine.start(&id).await {
                Ok(()) => format!("container {name} is started again"),
                Err(error) => format!("container {name} is not started again: {error}"),
            };
            (self.config.tell)(&said);
        }
    }
}

/// Whether the container was started after the session had joined. One that was started in the future was started
/// before somebody set the clock, and nothing is known of it.
fn is_later(container: &Container, joined: Option<SystemTime>, now: SystemTime) -> bool {
    match (container.started, joined) {
        (Some(started), Some(joined)) => joined < started && started <= now,
        _ => false,
    }
}

fn remember(fenced: &mut Fenced, key: (u128, String), session: SessionId) {
    if fenced.len() >= REMEMBERED_MAX && !fenced.contains_key(&key) {
        fenced.pop_first();
    }
    fenced.insert(key, session);
}

/// What came of it, for people.
struct Said<'a>(&'a FenceAnswer);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let containers = self.0.containers.join(", ");
        match self.0.outcome {
            FenceOutcome::Killed => write!(f, "{containers} was killed"),
            FenceOutcome::Down => write!(f, "{containers} does not run"),
            FenceOutcome::Earlier if containers.is_empty() => f.write_str("it was fenced earlier"),
            FenceOutcome::Earlier => write!(f, "{containers} was started after it had joined"),
            FenceOutcome::Lease => f.write_str("it has no container, and its lease is over"),
        }
    }
}
