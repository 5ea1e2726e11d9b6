//! One run, from finding the nodes to the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use glockwork_runs::{Config, Run, Scenario, Settings};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::actor::Actor;
use super::deadlock;
use super::display::Display;
use super::error::WorkloadError;
use super::follow::follow;
use super::means::{Control, Means};
use super::shared::Shared;
use crate::Servers;
use crate::inspect;
use crate::nodes::{Errors, FoundNode, NodeCallError, NodeHandle, find};
use crate::random;

/// How long after the end of a run nodes that are gone are waited for: a lease, a fence, and the start of a process.
pub(super) const GRACE: Duration = Duration::from_secs(25);
/// How long tasks that were told to end may take.
const END_MAX: Duration = Duration::from_secs(10);

/// What is to be run, and where.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) servers: Servers,
    pub(super) lockspace: String,
    /// Those that take part; all where it is empty.
    pub(super) nodes: Vec<String>,
    pub(super) settings: Settings,
    pub(super) scenario: Option<Scenario>,
    pub(super) control: Option<Control>,
    pub(super) display: Display,
}

/// What came of it.
pub(super) enum Outcome {
    /// It came to its end.
    Ended(Box<Run>),
    /// Somebody had enough of it; this is what there was.
    Interrupted(Box<Run>),
}

impl Plan {
    /// Runs it, to its end or until `enough` is.
    pub(super) async fn run(
        &self,
        enough: impl Future<Output = ()>,
    ) -> Result<Outcome, WorkloadError> {
        let (shared, means) = self.prepare().await?;
        let shared = Arc::new(shared);
        self.start(&shared).await?;
        let mut actor = Actor::new(Arc::clone(&shared), means);
        let ended = self.watched(&shared, &mut actor, enough).await;
        actor.restore().await;
        shared.display.clear();
        let interrupted = ended?;
        if !interrupted {
            verify(&shared).await;
        }
        let run = Box::new(Run::of(shared.seen()));
        Ok(if interrupted {
            Outcome::Interrupted(run)
        } else {
            Outcome::Ended(run)
        })
    }

    /// Finds the nodes, and has them write their parts of the files.
    async fn prepare(&self) -> Result<(Shared, Means), WorkloadError> {
        let found = self.find().await?;
        let names: Vec<String> = found.iter().map(|node| node.name.clone()).collect();
        let cluster = inspect::cluster(&self.servers).await?;
        let numbers: Vec<u64> = cluster.servers.iter().map(|server| server.server).collect();
        let mut handles = Vec::new();
        for node in &found {
            let handle = NodeHandle::new(&node.name, &node.address, self.servers.tls())?;
            handles.push((handle, node.session));
        }
        let config = self.config(&handles[0].0, names, numbers.len()).await?;
        let means = Means {
            control: self.control.clone(),
            servers: self.endpoints(&cluster)?,
        };
        if let Some(scenario) = &self.scenario {
            scenario.check_length(config.seconds)?;
            scenario.check_names(&config.nodes, &numbers)?;
            for action in &scenario.actions {
                let (verb, target) = (action.verb, &action.target);
                means
                    .check(verb)
                    .map_err(|why| WorkloadError::Usage(format!("{verb} {target}: {why}")))?;
            }
        }
        let drawn = random::draw().map_err(WorkloadError::Output)?;
        // Zero is no run.
        let run = drawn.seed | 1;
        let at = (self.servers.clone(), self.lockspace.clone());
        let display = self.display.clone();
        Ok((Shared::new(at, config, run, handles, display), means))
    }

    async fn find(&self) -> Result<Vec<FoundNode>, WorkloadError> {
        let all = find(&self.servers, &self.lockspace).await?;
        if all.is_empty() {
            let lockspace = self.lockspace.clone();
            return Err(WorkloadError::NoNodes { lockspace });
        }
        if self.nodes.is_empty() {
            return Ok(all);
        }
        let one = |name: &String| {
            let found = all.iter().find(|node| node.name == *name).cloned();
            found.ok_or_else(|| {
                let there: Vec<&str> = all.iter().map(|node| &node.name[..]).collect();
                let (name, there) = (name.clone(), there.join(", "));
                WorkloadError::NoNode { name, there }
            })
        };
        self.nodes.iter().map(one).collect()
    }

    async fn config(
        &self,
        node: &NodeHandle,
        names: Vec<String>,
        servers: usize,
    ) -> Result<Config, WorkloadError> {
        let mut settings = self.settings.clone();
        if let Some(scenario) = &self.scenario {
            settings = settings.or(&scenario.settings);
        }
        if settings.files.is_none() {
            // As many as the volume has, where those are fewer; the last is for taking turns.
            let there = node.status().await?.inodes.saturating_sub(1) as usize;
            settings.files = settings
                .filled(names.len())
                .files
                .map(|files| files.min(there));
        }
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let began = began.map_or(0, |since| since.as_secs());
        let version = env!("CARGO_PKG_VERSION");
        let mut config = Config::new(&settings, names, servers, version, began)?;
        if let Some(scenario) = &self.scenario {
            config.scenario = Some(scenario.name.clone());
            config.expect = scenario.expect;
            config.bounds = scenario.bounds;
        }
        Ok(config)
    }

    fn endpoints(
        &self,
        cluster: &inspect::ClusterStatus,
    ) -> Result<BTreeMap<u64, Servers>, WorkloadError> {
        let mut all = BTreeMap::new();
        for server in &cluster.servers {
            let at = server.endpoint.as_ref().unwrap_or(&server.peer_endpoint);
            let parsed = Servers::parse(at);
            let mut one = parsed.map_err(|error| WorkloadError::Usage(error.to_string()))?;
            if let Some(tls) = self.servers.tls() {
                one = one.with_tls(tls.clone());
            }
            all.insert(server.server, one);
        }
        Ok(all)
    }

    /// Has all nodes write their parts, and lets all go.
    async fn start(&self, shared: &Shared) -> Result<(), WorkloadError> {
        let config = &shared.config;
        let (policy, group) = (config.policy, config.group);
        shared.display.show(&format!("{group} {policy}: preparing"));
        let handles = shared.state().handles.clone();
        let mut preparing = JoinSet::new();
        for (index, (handle, _)) in handles.iter().enumerate() {
            let handle = handle.clone();
            let workload = config.workload(shared.run, index, config.length_us());
            preparing.spawn(async move { handle.prepare(&workload).await });
        }
        let mut failed = None;
        while let Some(prepared) = preparing.join_next().await {
            match prepared.expect("it does not panic") {
                Ok(found) => shared.state().checked.get_or_insert_default().merge(&found),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if failed.is_none() {
            for (handle, _) in &handles {
                failed = failed.or(handle.start(shared.run, None).await.err());
            }
        }
        let Some(error) = failed else { return Ok(()) };
        deadlock::stop(shared, true).await;
        Err(error.into())
    }

    /// Whether it was interrupted.
    async fn watched(
        &self,
        shared: &Arc<Shared>,
        actor: &mut Actor,
        enough: impl Future<Output = ()>,
    ) -> Result<bool, WorkloadError> {
        let mut followers = JoinSet::new();
        for index in 0..shared.config.nodes.len() {
            followers.spawn(follow(Arc::clone(shared), index));
        }
        let mut helpers = JoinSet::new();
        helpers.spawn(deadlock::watch(Arc::clone(shared)));
        helpers.spawn(Display::follow(Arc::clone(shared)));
        let all_end = async { while followers.join_next().await.is_some() {} };
        tokio::pin!(all_end);
        let acts = async {
            match &self.scenario {
                Some(scenario) => actor.act(scenario).await,
                None => Ok(()),
            }
        };
        let ended = tokio::select! {
            () = &mut all_end => Ok(false),
            () = enough => Ok(true),
            Err(error) = acts => Err(error),
        };
        if !matches!(ended, Ok(false)) {
            deadlock::stop(shared, true).await;
            // Whoever does not end by then has nothing to say.
            let _ = timeout(END_MAX, all_end).await;
        }
        ended
    }
}

/// Has each node read what another one wrote.
async fn verify(shared: &Arc<Shared>) {
    shared.display.show("reading what was written");
    let (handles, ledgers) = {
        let mut state = shared.state();
        (state.handles.clone(), std::mem::take(&mut state.ledgers))
    };
    let mut reading = JoinSet::new();
    for (writer, written) in ledgers {
        let handles = handles.clone();
        let run = shared.run;
        reading.spawn(async move {
            // The next that answers; in the end the writer itself.
            let mut failed = None;
            for step in 1..=handles.len() {
                let (reader, _) = &handles[(writer + step) % handles.len()];
                match reader.verify(run, written.clone()).await {
                    Ok(found) => return Ok(found),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            Err::<Errors, Option<NodeCallError>>(failed)
        });
    }
    let mut all = Some(shared.state().checked.take().unwrap_or_default());
    while let Some(read) = reading.join_next().await {
        match read.expect("it does not panic") {
            Ok(found) => {
                if let Some(all) = &mut all {
                    all.merge(&found);
                }
            }
            Err(error) => {
                let why =
                    error.map_or_else(|| "nobody is there".to_owned(), |error| error.to_string());
                shared
                    .display
                    .say(&format!("what was written cannot be read: {why}"));
                all = None;
            }
        }
    }
    shared.display.clear();
    shared.state().checked = all;
}
