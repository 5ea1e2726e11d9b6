//! Does what a scenario says, at its times, and at the end undoes what is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use glockwork_runs::{Action, Event, Member as Who, Scenario, Target, Verb};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::error::WorkloadError;
use super::means::Means;
use super::shared::Shared;
use crate::inspect;
use crate::nodes::{NodeHandle, find};

/// How long a member may take until it is well again, in a restart of all of them.
const WELL_MAX: Duration = Duration::from_secs(90);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long the servers may take to say how they are.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whoever does it.
pub(super) struct Actor {
    shared: Arc<Shared>,
    means: Means,
    /// What is done and not undone: to whom, and what undoes it.
    outstanding: BTreeSet<(Who, &'static str)>,
}

impl Actor {
    pub(super) const fn new(shared: Arc<Shared>, means: Means) -> Self {
        Self {
            shared,
            means,
            outstanding: BTreeSet::new(),
        }
    }

    /// Does all of it, each at its time.
    pub(super) async fn act(&mut self, scenario: &Scenario) -> Result<(), WorkloadError> {
        let mut chosen: Vec<Vec<Who>> = Vec::new();
        for action in &scenario.actions {
            sleep_until(self.shared.at(Duration::from_micros(action.at_us))).await;
            let failed = |why| WorkloadError::Action {
                what: format!("{} {}", action.verb, action.target),
                why,
            };
            let whom = if action.undoes.is_empty() {
                self.choose(&action.target).await.map_err(failed)?
            } else {
                let undone = action
                    .undoes
                    .iter()
                    .flat_map(|&number| chosen[number].clone());
                undone.collect::<BTreeSet<Who>>().into_iter().collect()
            };
            self.perform(action, &whom).await.map_err(failed)?;
            chosen.push(whom);
        }
        Ok(())
    }

    /// Undoes what is left, in the order in which members can be well again: servers first.
    pub(super) async fn restore(&mut self) {
        let mut left: Vec<(Who, &str)> =
            std::mem::take(&mut self.outstanding).into_iter().collect();
        left.sort_by_key(|(who, _)| matches!(who, Who::Node(_)));
        for (who, undo) in left {
            let Some(verb) = UNDOING.into_iter().find(|verb| verb.name() == undo) else {
                continue;
            };
            let handle = self.handle(&who);
            if let Err(why) = self.means.act(verb, &who, handle).await {
                self.shared
                    .display
                    .say(&format!("{who} is left as it is: {undo}: {why}"));
            }
        }
    }

    async fn perform(&mut self, action: &Action, whom: &[Who]) -> Result<(), String> {
        let verb = action.verb;
        let rolling = verb == Verb::RestartRolling;
        // Told when it begins: a command takes a while, and what it does shows before it ends.
        if !rolling {
            self.tell(verb, whom);
        }
        for who in whom {
            let before = self.session(who).await;
            if rolling {
                self.tell(verb, std::slice::from_ref(who));
            }
            self.means.act(verb, who, self.handle(who)).await?;
            if let Some(undone_by) = verb.undone_by() {
                self.outstanding.insert((who.clone(), undone_by.name()));
            }
            self.outstanding.remove(&(who.clone(), verb.name()));
            if rolling {
                self.until_well(who, before).await?;
            }
        }
        Ok(())
    }

    fn tell(&self, verb: Verb, whom: &[Who]) {
        let mut event = Event::of_all(self.shared.now_us(), verb.event(), words(verb));
        for who in whom {
            match who {
                Who::Node(name) => event.nodes.push(name.clone()),
                Who::Server(number) => event.servers.push(*number),
            }
        }
        self.shared.happened(event);
    }

    /// Who is meant, now.
    async fn choose(&self, target: &Target) -> Result<Vec<Who>, String> {
        let nodes = || self.shared.config.nodes.iter().cloned().map(Who::Node);
        let servers = || self.means.servers.keys().copied().map(Who::Server);
        Ok(match target {
            Target::Node(name) => vec![Who::Node(name.clone())],
            Target::Server(number) => vec![Who::Server(*number)],
            Target::Nodes => nodes().collect(),
            Target::Servers => servers().collect(),
            Target::Everything => servers().chain(nodes()).collect(),
            Target::Leader => vec![Who::Server(self.leader().await?)],
            Target::Follower => {
                let leader = self.leader().await?;
                let follower = self.means.servers.keys().find(|&&number| number != leader);
                vec![Who::Server(
                    *follower.ok_or("there is no server beside the leader")?,
                )]
            }
        })
    }

    async fn leader(&self) -> Result<u64, String> {
        let until = Instant::now() + ANSWER_MAX;
        loop {
            let asked = timeout(ANSWER_MAX, inspect::cluster(&self.shared.servers)).await;
            if let Ok(Ok(status)) = asked
                && let Some(leader) = status.leader
            {
                return Ok(leader);
            }
            if Instant::now() >= until {
                return Err("no server says who leads".into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The way to a node.
    fn handle(&self, who: &Who) -> Option<NodeHandle> {
        let Who::Node(name) = who else { return None };
        let index = self
            .shared
            .config
            .nodes
            .iter()
            .position(|node| node == name)?;
        Some(self.shared.state().handles[index].0.clone())
    }

    async fn session(&self, who: &Who) -> Option<u64> {
        let Who::Node(name) = who else { return None };
        let asking = find(&self.shared.servers, &self.shared.lockspace);
        let found = timeout(ANSWER_MAX, asking).await.ok()?.ok()?;
        found
            .into_iter()
            .find(|node| node.name == *name)
            .map(|node| node.session)
    }

    /// Waits until a member that was started again has its part in the cluster: a session other than before, or slots
    /// that it serves, while all others are served as well.
    async fn until_well(&self, who: &Who, before: Option<u64>) -> Result<(), String> {
        let until = Instant::now() + WELL_MAX;
        loop {
            sleep(LOOK_EVERY).await;
            let well = match who {
                Who::Node(_) => self
                    .session(who)
                    .await
                    .is_some_and(|now| Some(now) != before),
                Who::Server(number) => self.serves(*number).await,
            };
            if well {
                return Ok(());
            }
            if Instant::now() >= until {
                let most = WELL_MAX.as_secs();
                return Err(format!(
                    "{who} is not well {most} s after it was started again"
                ));
            }
        }
    }

    async fn serves(&self, number: u64) -> bool {
        let asked = timeout(ANSWER_MAX, inspect::cluster(&self.shared.servers)).await;
        let Ok(Ok(status)) = asked else { return false };
        let slots = &status.slots;
        let all = slots.recovering + slots.moving + slots.masterless == 0;
        let own = status.servers.iter().find(|server| server.server == number);
        all && own.is_some_and(|server| server.incarnation.is_some() && server.slots > 0)
    }
}

/// What undoes something.
const UNDOING: [Verb; 4] = [Verb::Restart, Verb::Resume, Verb::Heal, Verb::ReleaseStore];

/// An event in words, without those that it is about.
fn words(verb: Verb) -> String {
    let ms = |us: u64| format!("{} ms", us as f64 / 1e3);
    match verb {
        Verb::Cut(direction) => match direction.name() {
            None => "cut off".into(),
            Some(way) => format!("cut off, {way} it only"),
        },
        Verb::Slow { delay_us, .. } => format!("its links take {} longer", ms(delay_us)),
        Verb::Heal => "its links are whole".into(),
        Verb::Kill => "its process is killed".into(),
        Verb::Restart | Verb::RestartRolling => "it is started again".into(),
        Verb::Pause => "its process is stopped where it is".into(),
        Verb::Resume => "its process goes on".into(),
        Verb::StallStore => "its storage answers nothing".into(),
        Verb::SlowStore { delay_us } => format!("its storage takes {} longer", ms(delay_us)),
        Verb::FailStore => "its storage fails".into(),
        Verb::ReleaseStore => "its storage works again".into(),
    }
}
