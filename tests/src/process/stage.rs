//! Servers, contenders and their witness together: what a test of faults needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dlm_client::{Client, ConnectOptions, LockError, Mode};
use dlm_core::LockspaceId;
use dlm_core::link::SlotMap;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::contend::{LOCKSPACE, kept_name};
use super::masters::{Masters, master_of, not_served};
use super::{Contender, Contending, PATIENCE, Pulse, Servers, ServersOptions, Witness};

/// How often something that is waited for is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How many locks are tried at once.
const TRIES_AT_ONCE: usize = 4096;

/// What a stage is set up with.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// The servers.
    pub servers: ServersOptions,
    /// How many clients there are, each a process with a session.
    pub contenders: usize,
    /// How many locks of each server are contended for.
    pub locks_per_server: usize,
    /// How long each is held.
    pub hold_ms: u64,
    /// How many locks each client keeps, beside.
    pub keep: usize,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self {
            servers: ServersOptions {
                arguments: vec!["--allow-faults".into()],
                ..ServersOptions::default()
            },
            contenders: 3,
            locks_per_server: 2,
            hold_ms: 5,
            keep: 50,
        }
    }
}

/// A cluster under load.
#[derive(Debug)]
pub struct Stage {
    /// The servers.
    pub servers: Servers,
    /// The clients.
    pub contenders: Vec<Contender>,
    /// What holders wrote.
    pub witness: Witness,
    lockspace: LockspaceId,
    locks: Vec<String>,
    keep: usize,
}

/// What was found when a stage was taken down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many grants the witness saw.
    pub grants: usize,
    /// What it saw that must not be.
    pub violation: Option<String>,
    /// Clients whose first session lived to the end.
    pub lived: usize,
    /// Clients that lost a session, with the reason of the first loss.
    pub lost: BTreeMap<String, String>,
    /// Locks that living sessions kept and that somebody else could have, or of which they were told that they
    /// are lost.
    pub locks_lost: usize,
}

impl Stage {
    /// Starts everything; returns when every contended lock was granted to somebody.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn start(options: StageOptions) -> Self {
        let servers = Servers::start(options.servers).await;
        let witness = Witness::new(servers.dir().join("witness"));
        let mut stage = Self {
            servers,
            contenders: Vec::new(),
            witness,
            lockspace: LockspaceId(0),
            locks: Vec::new(),
            keep: options.keep,
        };
        stage.whole().await;
        stage.choose(options.locks_per_server).await;
        let with = Contending {
            locks: stage.locks.clone(),
            hold_ms: options.hold_ms,
            tasks: 1,
            keep: options.keep,
            witnessed: true,
        };
        for number in 1..=options.contenders {
            let (servers, witness) = (&stage.servers, &stage.witness);
            let contender = Contender::start(servers, witness, &format!("c{number}"), &with);
            stage.contenders.push(contender);
        }
        for contender in &mut stage.contenders {
            contender
                .until("that it has its locks", |said| !said.keeps.is_empty())
                .await;
        }
        stage.all_granted_anew("at first").await;
        stage
    }

    /// So many names for each server's part of the locks.
    async fn choose(&mut self, per_server: usize) {
        let client = self.client("chooser").await;
        let lockspace = client.lockspace(LOCKSPACE).await.expect("the lockspace");
        self.lockspace = lockspace.id();
        let map = self.map().await;
        let mut chosen: BTreeMap<usize, usize> = BTreeMap::new();
        for number in 0..10_000 {
            let name = format!("hot{number}");
            let server = master_of(&map, self.lockspace, &name).expect("a master");
            let count = chosen.entry(server).or_default();
            if *count < per_server {
                *count += 1;
                self.locks.push(name);
            }
        }
        // It ends with this session, and is made again under the same name, with its resources in the same slots.
        client.close().await;
    }

    /// A session of the test's own.
    ///
    /// # Panics
    /// If there is none to be had.
    pub async fn client(&self, name: &str) -> Client {
        let servers = self.servers.endpoints();
        let servers = dlm_client::Servers::parse(&servers).expect("addresses");
        let name = name.to_owned();
        let connecting = Client::connect(ConnectOptions { servers, name });
        connecting.await.expect("a session")
    }

    /// The slot map, of whichever server answers with the newest.
    ///
    /// # Panics
    /// If none does.
    pub async fn map(&self) -> SlotMap {
        self.try_map().await.expect("a server that answers")
    }

    /// The same, where there is one.
    pub async fn try_map(&self) -> Option<SlotMap> {
        let mut newest: Option<SlotMap> = None;
        for server in self.servers.numbers() {
            let Some(mut asked) = Masters::at(&self.servers.endpoint(server)).await else {
                continue;
            };
            if let Some(map) = asked.map().await
                && newest.as_ref().is_none_or(|known| known.index < map.index)
            {
                newest = Some(map);
            }
        }
        newest
    }

    /// The locks that are contended for.
    #[must_use]
    pub fn locks(&self) -> &[String] {
        &self.locks
    }

    /// Those of them that a server masters.
    #[must_use]
    pub fn locks_of(&self, map: &SlotMap, server: usize) -> Vec<String> {
        let locks = self.locks.iter();
        let its = locks.filter(|lock| master_of(map, self.lockspace, lock) == Some(server));
        its.cloned().collect()
    }

    /// The server that masters a lock; none where nobody does.
    #[must_use]
    pub fn master_of(&self, map: &SlotMap, lock: &str) -> Option<usize> {
        master_of(map, self.lockspace, lock)
    }

    /// The server that leads.
    ///
    /// # Panics
    /// If none does for long.
    pub async fn leader(&mut self) -> usize {
        let before = Instant::now();
        loop {
            for server in self.servers.numbers() {
                if self.servers.process(server).ended().is_none()
                    && let Some(status) = self.servers.status(server).await
                    && let Some(leader) = status["leader"].as_u64().filter(|leader| *leader != 0)
                {
                    return usize::try_from(leader).expect("a server's number");
                }
            }
            assert!(before.elapsed() < PATIENCE, "nobody leads");
        }
    }

    /// A server that does not lead.
    pub async fn follower(&mut self) -> usize {
        let leader = self.leader().await;
        let mut others = self.servers.numbers().filter(|other| *other != leader);
        others.next().expect("several servers")
    }

    /// Waits until every slot is served.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn whole(&self) {
        self.until_map("that all slots are served", |map| not_served(map) == 0)
            .await;
    }

    /// Waits until every slot is served, and every server has a part.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn even(&self) {
        let servers = self.servers.numbers().count();
        let least = dlm_core::slot::SLOTS as usize / servers;
        let is_even = |map: &SlotMap| {
            let mut parts: BTreeMap<u64, usize> = BTreeMap::new();
            let masters = map.slots.iter().filter_map(|place| place.master.as_ref());
            for master in masters {
                *parts.entry(master.server.0).or_default() += 1;
            }
            not_served(map) == 0 && parts.len() == servers && parts.values().all(|&n| n >= least)
        };
        self.until_map("that every server has its part of the slots", is_even)
            .await;
    }

    /// Waits until a server that is to go masters nothing any more.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn gone(&self, server: usize) {
        let is_gone = |map: &SlotMap| {
            let masters = map.slots.iter().filter_map(|place| place.master.as_ref());
            not_served(map) == 0 && masters.into_iter().all(|it| it.server.0 != server as u64)
        };
        self.until_map("that it masters nothing any more", is_gone)
            .await;
    }

    async fn until_map(&self, what: &str, is_so: impl Fn(&SlotMap) -> bool) {
        let before = Instant::now();
        loop {
            let map = self.try_map().await;
            if map.as_ref().is_some_and(&is_so) {
                return;
            }
            let unserved = map.as_ref().map(not_served);
            assert!(
                before.elapsed() < PATIENCE,
                "{what}: not seen within {PATIENCE:?} ({unserved:?} slots are not served); logs are in {}",
                self.servers.dir().display()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until every contended lock was granted once more.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn all_granted_anew(&self, when: &str) {
        let from = self.witness.text().len();
        let before = Instant::now();
        loop {
            let text = self.witness.text();
            let granted = |lock: &String| {
                let of_lock = |line: &&str| {
                    let mut words = line.split(' ');
                    words.next() == Some("grant") && words.nth(2) == Some(lock.as_str())
                };
                text[from..].lines().any(|line| of_lock(&line))
            };
            let missing: Vec<&String> = self.locks.iter().filter(|lock| !granted(lock)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(
                before.elapsed() < PATIENCE,
                "{when}: no grant of {missing:?} within {PATIENCE:?}; logs and the witness are in {}",
                self.servers.dir().display()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    /// When locks were granted.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let files = self.contenders.iter().map(|one| one.pulse().to_owned());
        Pulse::read(&files.collect::<Vec<PathBuf>>())
    }

    /// Looks whether what is kept is kept, ends all clients, and judges.
    ///
    /// # Panics
    /// If a client does not end.
    pub async fn judge(&mut self) -> Verdict {
        self.whole().await;
        let mut verdict = Verdict {
            locks_lost: self.taken_away().await,
            ..Verdict::default()
        };
        for contender in &mut self.contenders {
            contender.end().await;
            let said = contender.said();
            verdict.locks_lost += said.kept_lost;
            match said.lost.first() {
                None => verdict.lived += usize::from(said.closed),
                Some(why) => {
                    verdict
                        .lost
                        .insert(contender.name().to_owned(), why.clone());
                }
            }
        }
        match self.witness.judge() {
            Ok(grants) => verdict.grants = grants,
            Err(found) => verdict.violation = Some(found.to_string()),
        }
        verdict
    }

    /// How many of the locks can be had by somebody else that clients keep whose session lives.
    async fn taken_away(&mut self) -> usize {
        let client = self.client("thief").await;
        let lockspace = client.lockspace(LOCKSPACE).await.expect("the lockspace");
        let mut taken = 0;
        for contender in &mut self.contenders {
            if contender.process().ended().is_some() || contender.said().sessions.len() != 1 {
                continue;
            }
            for from in (0..self.keep).step_by(TRIES_AT_ONCE) {
                let mut tries = JoinSet::new();
                for number in from..self.keep.min(from + TRIES_AT_ONCE) {
                    let lockspace = lockspace.clone();
                    let name = kept_name(contender.name(), number);
                    tries.spawn(async move { lockspace.try_lock(name, Mode::Ex).await.err() });
                }
                for answer in tries.join_all().await {
                    taken += usize::from(answer != Some(LockError::TryFailed));
                }
            }
        }
        client.close().await;
        taken
    }
}
