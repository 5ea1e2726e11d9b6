//! The faults of the table: what is done to whom, for how long, and what has to come of it.

use std::time::Duration;

use tests::process::{Stage, now_us};
use tokio::time::sleep;

/// Who it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// A server that does not lead.
    Follower,
    /// The server that leads.
    Leader,
    /// A client.
    Client,
    /// All servers.
    Servers,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// SIGKILL, and a server is started again when the time is over.
    Kill,
    /// SIGTERM, and a server is started again when the time is over.
    End,
    /// SIGSTOP, and SIGCONT when the time is over.
    Stop,
    /// Links are cut, and healed when the time is over.
    Cut(Link),
}

/// Which links are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Of the victim to one other server that does not lead.
    Follower(Ways),
    /// Of the victim to all other servers.
    Servers,
    /// Of the victim, a server, to one client.
    Client(Ways),
    /// Of the victim, a server, to all clients.
    Clients,
    /// Of the victim, a client, to all servers.
    AllServers,
}

/// In which directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    /// Both.
    Both,
    /// Nothing arrives that the victim sends.
    From,
    /// Nothing arrives that is sent to the victim.
    To,
}

/// Whose sessions are over afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Nobody's.
    Nobody,
    /// The client's that it happened to.
    Client,
    /// All.
    All,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) victim: Victim,
    pub(crate) ms: u64,
    pub(crate) ends: Ends,
    /// How long nobody may be granted a lock that the victim mastered, where there is an aim.
    pub(crate) gap_ms_max: Option<u64>,
}

const fn fault(name: &'static str, act: Act, victim: Victim, ms: u64) -> Fault {
    Fault {
        name,
        act,
        victim,
        ms,
        ends: Ends::Nobody,
        gap_ms_max: None,
    }
}

impl Fault {
    const fn ends(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }

    const fn within(mut self, ms: u64) -> Self {
        self.gap_ms_max = Some(ms);
        self
    }
}

/// All of them. A lease of a server is 350 ms, one of a session 5 s.
pub(crate) const FAULTS: &[Fault] = &[
    fault("kill -9, a server", Act::Kill, Victim::Follower, 3000).within(1000),
    fault("kill -9, the leader", Act::Kill, Victim::Leader, 3000).within(1000),
    fault(
        "kill -9, a server, started at once",
        Act::Kill,
        Victim::Follower,
        0,
    )
    .within(1000),
    fault(
        "kill -9, the leader, started at once",
        Act::Kill,
        Victim::Leader,
        0,
    )
    .within(1000),
    fault("kill -9, a client", Act::Kill, Victim::Client, 0).ends(Ends::Client),
    fault(
        "kill -9, all servers, started at once",
        Act::Kill,
        Victim::Servers,
        0,
    ),
    fault("kill -9, all servers", Act::Kill, Victim::Servers, 2000),
    fault("kill -9, all servers", Act::Kill, Victim::Servers, 7000).ends(Ends::All),
    fault("told to end, a server", Act::End, Victim::Follower, 3000).within(1000),
    fault("told to end, the leader", Act::End, Victim::Leader, 3000).within(1000),
    fault("stop, a server", Act::Stop, Victim::Follower, 200),
    fault("stop, a server", Act::Stop, Victim::Follower, 2000),
    fault("stop, a server", Act::Stop, Victim::Follower, 7000),
    fault("stop, the leader", Act::Stop, Victim::Leader, 200),
    fault("stop, the leader", Act::Stop, Victim::Leader, 2000),
    fault("stop, the leader", Act::Stop, Victim::Leader, 7000),
    fault("stop, a client", Act::Stop, Victim::Client, 2000),
    fault("stop, a client", Act::Stop, Victim::Client, 8000).ends(Ends::Client),
    fault("stop, all servers", Act::Stop, Victim::Servers, 2000),
    fault(
        "cut, leader and server",
        Act::Cut(Link::Follower(Ways::Both)),
        Victim::Leader,
        3000,
    ),
    fault(
        "cut, leader to server",
        Act::Cut(Link::Follower(Ways::From)),
        Victim::Leader,
        3000,
    ),
    fault(
        "cut, server to leader",
        Act::Cut(Link::Follower(Ways::To)),
        Victim::Leader,
        3000,
    ),
    fault(
        "cut, server and server",
        Act::Cut(Link::Follower(Ways::Both)),
        Victim::Follower,
        3000,
    ),
    fault(
        "cut, server to server",
        Act::Cut(Link::Follower(Ways::From)),
        Victim::Follower,
        3000,
    ),
    fault(
        "cut, a server and all others",
        Act::Cut(Link::Servers),
        Victim::Follower,
        3000,
    ),
    fault(
        "cut, the leader and all others",
        Act::Cut(Link::Servers),
        Victim::Leader,
        3000,
    ),
    fault(
        "cut, server and client",
        Act::Cut(Link::Client(Ways::Both)),
        Victim::Follower,
        2000,
    ),
    fault(
        "cut, server and client",
        Act::Cut(Link::Client(Ways::Both)),
        Victim::Follower,
        7000,
    ),
    fault(
        "cut, server to client",
        Act::Cut(Link::Client(Ways::From)),
        Victim::Follower,
        2000,
    ),
    fault(
        "cut, client to server",
        Act::Cut(Link::Client(Ways::To)),
        Victim::Follower,
        2000,
    ),
    fault(
        "cut, a server and all clients",
        Act::Cut(Link::Clients),
        Victim::Follower,
        3000,
    ),
    fault(
        "cut, the leader and all clients",
        Act::Cut(Link::Clients),
        Victim::Leader,
        3000,
    ),
    fault(
        "cut, a client and all servers",
        Act::Cut(Link::AllServers),
        Victim::Client,
        2000,
    ),
    fault(
        "cut, a client and all servers",
        Act::Cut(Link::AllServers),
        Victim::Client,
        8000,
    )
    .ends(Ends::Client),
];

/// The client that a fault happens to.
pub(crate) const CLIENT: usize = 0;

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    /// When it began.
    pub(crate) from_us: u64,
    /// The locks that the victim mastered, or all where the victim is no server.
    pub(crate) locks: Vec<String>,
}

/// Does it, and undoes it.
pub(crate) async fn strike(stage: &mut Stage, fault: &Fault) -> Struck {
    let map = stage.map().await;
    let server = match fault.victim {
        Victim::Leader => stage.leader().await,
        Victim::Follower => stage.follower().await,
        Victim::Client | Victim::Servers => 0,
    };
    let locks = match server {
        0 => stage.locks().to_vec(),
        server => stage.locks_of(&map, server),
    };
    let lasts = Duration::from_millis(fault.ms);
    let cuts = cuts(stage, fault, server).await;
    let from_us = now_us();
    match (fault.act, fault.victim) {
        (Act::Kill, Victim::Client) => {
            stage.contenders[CLIENT].kill().await;
            sleep(lasts).await;
        }
        (Act::Stop, Victim::Client) => {
            stage.contenders[CLIENT].stop();
            sleep(lasts).await;
            stage.contenders[CLIENT].resume();
        }
        (Act::Kill, _) => {
            let victims = servers(stage, server);
            for &victim in &victims {
                stage.servers.kill(victim).await;
            }
            sleep(lasts).await;
            victims.into_iter().for_each(|it| stage.servers.restart(it));
        }
        (Act::End, _) => {
            let victims = servers(stage, server);
            for &victim in &victims {
                stage.servers.process(victim).terminate().await;
            }
            sleep(lasts).await;
            victims.into_iter().for_each(|it| stage.servers.restart(it));
        }
        (Act::Stop, _) => {
            let victims = servers(stage, server);
            victims.iter().for_each(|&it| stage.servers.stop(it));
            sleep(lasts).await;
            victims.iter().for_each(|&it| stage.servers.resume(it));
        }
        (Act::Cut(_), _) => cut(stage, &cuts, lasts).await,
    }
    Struck { from_us, locks }
}

/// The victims, where they are servers.
fn servers(stage: &Stage, server: usize) -> Vec<usize> {
    match server {
        0 => stage.servers.numbers().collect(),
        server => vec![server],
    }
}

/// What `dlm fault` is to cut: `A,B`, and whether in that direction only.
async fn cuts(stage: &mut Stage, fault: &Fault, server: usize) -> Vec<(String, bool)> {
    let Act::Cut(link) = fault.act else {
        return Vec::new();
    };
    let client = stage.contenders[CLIENT].name().to_owned();
    let directed = |from: &str, to: &str, ways| match ways {
        Ways::Both => (format!("{from},{to}"), false),
        Ways::From => (format!("{from},{to}"), true),
        Ways::To => (format!("{to},{from}"), true),
    };
    let victim = server.to_string();
    let leader = stage.leader().await;
    let others = stage.servers.numbers().filter(|other| *other != server);
    match link {
        Link::Follower(ways) => {
            let other = others.filter(|other| *other != leader).last();
            let other = other.expect("another server").to_string();
            vec![directed(&victim, &other, ways)]
        }
        Link::Servers => others
            .map(|other| directed(&victim, &other.to_string(), Ways::Both))
            .collect(),
        Link::Client(ways) => vec![directed(&victim, &client, ways)],
        Link::Clients => vec![directed(&victim, "client", Ways::Both)],
        Link::AllServers => stage
            .servers
            .numbers()
            .map(|server| directed(&client, &server.to_string(), Ways::Both))
            .collect(),
    }
}

/// Cuts and heals. Each server heals by its own clock, since nobody may reach it meanwhile.
async fn cut(stage: &Stage, cuts: &[(String, bool)], lasts: Duration) {
    let lasts_text = format!("{}ms", lasts.as_millis());
    for (link, one_way) in cuts {
        let mut arguments = vec!["partition", link, "--for", &lasts_text];
        if *one_way {
            arguments.push("--one-way");
        }
        stage.servers.fault(1, &arguments, true).await;
    }
    sleep(lasts).await;
}
