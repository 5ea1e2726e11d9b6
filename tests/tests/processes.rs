//! Servers and clients as processes: killed, stopped, restarted, cut off.

use std::time::Duration;

use tests::machine::SmallDisk;
use tests::process::{
    PATIENCE, Process, Servers, ServersOptions, Stage, StageOptions, Verdict, Witness, within,
};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// Far more than a test needs.
const LIMIT: Duration = Duration::from_secs(240);

async fn one_server() -> Servers {
    Servers::start(ServersOptions {
        count: 1,
        ..ServersOptions::default()
    })
    .await
}

/// Holds the lock for a moment, or for good where `ends` is not so.
fn holder(servers: &Servers, witness: &Witness, name: &str, ends: bool) -> Process {
    let mut command = servers.dlm_command(&servers.endpoints());
    let grant = "grant $GLOCKWORK_TOKEN $me $GLOCKWORK_LOCK $GLOCKWORK_MODE";
    let rest = if ends {
        "echo \"write $GLOCKWORK_TOKEN $me $GLOCKWORK_LOCK\" >> $witness; sleep 0.02
         echo \"release $GLOCKWORK_TOKEN $me $GLOCKWORK_LOCK\" >> $witness"
    } else {
        "sleep 1000"
    };
    let script = format!("echo \"{grant}\" >> $witness; {rest}");
    command
        .args(["lock", "ledger", "--", "sh", "-c", &script])
        .env("witness", witness.path())
        .env("me", name);
    let log = servers.dir().join(format!("{name}.log"));
    Process::start(name, &mut command, &log).expect("dlm starts")
}

async fn holds(witness: &Witness, name: &str) {
    let granted = async {
        loop {
            let text = std::fs::read_to_string(witness.path()).unwrap_or_default();
            let line = |line: &str| line.starts_with("grant") && line.contains(name);
            if text.lines().any(line) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, granted).await.expect("it is granted");
}

async fn succeeds(process: &mut Process) {
    let ended = timeout(PATIENCE, process.wait()).await;
    let ended = ended.unwrap_or_else(|_| panic!("it does not end: {}", process.last_words()));
    assert!(ended.success(), "{ended}: {}", process.last_words());
}

#[tokio::test]
async fn a_holder_that_is_killed_gives_its_lock_to_those_that_wait() {
    within(LIMIT, "a killed holder", async {
        let servers = one_server().await;
        let witness = Witness::new(servers.dir().join("witness"));
        let mut victim = holder(&servers, &witness, "victim", false);
        holds(&witness, "victim").await;
        let names = ["a", "b", "c", "d"];
        let mut others = names.map(|name| holder(&servers, &witness, name, true));
        victim.kill().await;
        witness.died("victim").unwrap();
        for other in &mut others {
            succeeds(other).await;
        }
        let grants = witness.judge().unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(grants, 5);
    })
    .await;
}

#[tokio::test]
async fn a_server_is_stopped_goes_on_is_killed_and_comes_back() {
    within(LIMIT, "a server's life", async {
        let mut servers = one_server().await;
        let witness = Witness::new(servers.dir().join("witness"));
        servers.stop(1);
        let mut waits = holder(&servers, &witness, "waits", true);
        // A shorter time could only hide that a stopped server answers.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(waits.ended(), None);
        servers.resume(1);
        succeeds(&mut waits).await;
        servers.kill(1).await;
        assert_eq!(servers.status(1).await, None);
        servers.restart(1);
        servers.ready().await;
        succeeds(&mut holder(&servers, &witness, "again", true)).await;
        let said = servers.process(1).said();
        assert_eq!(said.matches("serving on").count(), 2, "{said}");
    })
    .await;
}

/// What every fault that takes no session leaves: every client lives, no lock is lost, nobody held what
/// excludes what somebody else held.
fn all_is_well(verdict: &Verdict, clients: usize) {
    assert_eq!(verdict.violation, None);
    assert_eq!(verdict.locks_lost, 0, "{verdict:?}");
    assert_eq!(verdict.lived, clients, "{verdict:?}");
    assert!(verdict.grants > 0);
}

/// The same where the sessions of these clients ended, and no others.
fn only_these_ended(verdict: &Verdict, ended: &[&str]) {
    assert_eq!(verdict.violation, None);
    assert_eq!(verdict.locks_lost, 0, "{verdict:?}");
    let lost: Vec<&str> = verdict.lost.keys().map(String::as_str).collect();
    assert_eq!(lost, ended, "{verdict:?}");
}

/// One cluster under load at a time: on a machine that is busy with all of them sessions may end of that.
async fn alone<T>(limit: Duration, what: &str, body: impl Future<Output = T>) -> T {
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    within(limit, what, body).await
}

async fn stage() -> (Stage, usize) {
    let options = StageOptions::default();
    let clients = options.contenders;
    (Stage::start(options).await, clients)
}

#[tokio::test]
async fn every_server_is_killed_in_turn_under_load_and_no_lock_is_lost() {
    alone(LIMIT, "servers killed in turn", async {
        let (mut stage, clients) = stage().await;
        for victim in stage.servers.numbers() {
            stage.servers.kill(victim).await;
            stage.all_granted_anew("after a server was killed").await;
            stage.servers.restart(victim);
            stage.servers.ready().await;
            stage.even().await;
            stage.all_granted_anew("after it came back").await;
        }
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

#[tokio::test]
async fn the_leader_is_killed_again_and_again() {
    alone(LIMIT, "leaders killed", async {
        let (mut stage, clients) = stage().await;
        for _ in 0..3 {
            let leader = stage.leader().await;
            stage.servers.kill(leader).await;
            stage.all_granted_anew("after the leader was killed").await;
            stage.servers.restart(leader);
            stage.servers.ready().await;
            stage.whole().await;
        }
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

#[tokio::test]
async fn all_servers_are_killed_at_once_and_start_again_within_a_lease() {
    alone(LIMIT, "all servers killed", async {
        let (mut stage, clients) = stage().await;
        for server in stage.servers.numbers() {
            stage.servers.kill(server).await;
        }
        for server in stage.servers.numbers() {
            stage.servers.restart(server);
        }
        stage.servers.ready().await;
        stage.whole().await;
        stage.all_granted_anew("after all servers came back").await;
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

/// Whether a machine starts three processes within a lease is its own affair; here they are away for longer.
#[tokio::test]
async fn all_servers_are_away_for_longer_than_a_lease_and_every_session_is_over() {
    alone(LIMIT, "all servers away", async {
        let (mut stage, _) = stage().await;
        for server in stage.servers.numbers() {
            stage.servers.kill(server).await;
        }
        for contender in &mut stage.contenders {
            contender
                .until("the end of its session", |said| !said.lost.is_empty())
                .await;
        }
        for server in stage.servers.numbers() {
            stage.servers.restart(server);
        }
        stage.servers.ready().await;
        stage.whole().await;
        stage.all_granted_anew("after all servers came back").await;
        only_these_ended(&stage.judge().await, &["c1", "c2", "c3"]);
    })
    .await;
}

/// It goes on where it was stopped, in the middle of anything, and serves nothing of its old epochs.
#[tokio::test]
async fn a_server_is_stopped_for_longer_than_its_lease_and_does_not_serve_what_others_got() {
    alone(LIMIT, "stopped servers", async {
        let (mut stage, clients) = stage().await;
        for leads in [false, true] {
            let victim = if leads {
                stage.leader().await
            } else {
                stage.follower().await
            };
            let locks = stage.locks_of(&stage.map().await, victim);
            assert!(
                !locks.is_empty(),
                "server {victim} masters a contended lock"
            );
            stage.servers.stop(victim);
            stage.gone(victim).await;
            stage.all_granted_anew("while a server is stopped").await;
            stage.servers.resume(victim);
            stage.even().await;
            stage.all_granted_anew("after it went on").await;
        }
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

#[tokio::test]
async fn a_client_is_stopped_for_longer_than_its_lease_and_writes_nothing_when_it_goes_on() {
    alone(LIMIT, "a stopped client", async {
        let (mut stage, _) = stage().await;
        stage.contenders[0].stop();
        // Its locks stay until its lease has run out, then all are granted without it.
        stage.all_granted_anew("while a client is stopped").await;
        let text = stage.witness.text();
        stage.contenders[0].resume();
        stage.contenders[0]
            .until("that its session is over", |said| !said.lost.is_empty())
            .await;
        stage.contenders[0]
            .until("that it came back", |said| said.keeps.len() == 2)
            .await;
        stage.all_granted_anew("after it went on").await;
        only_these_ended(&stage.judge().await, &["c1"]);
        // Under its old tokens it said at most that they are lost.
        let tokens: Vec<u64> = tokens_of(&text, "c1");
        let later = stage.witness.text().split_off(text.len());
        for line in later.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let is_old = words[2] == "c1" && tokens.contains(&words[1].parse().unwrap());
            assert!(!is_old || words[0] == "lost", "{line}");
        }
    })
    .await;
}

/// The tokens under which a client holds something at the end of the witness's text.
fn tokens_of(text: &str, client: &str) -> Vec<u64> {
    let mut held: Vec<(u64, &str)> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[2] != client {
            continue;
        }
        let hold = (words[1].parse().unwrap(), words[3]);
        match words[0] {
            "grant" => held.push(hold),
            "release" | "lost" => held.retain(|one| *one != hold),
            _ => {}
        }
    }
    held.into_iter().map(|(token, _)| token).collect()
}

#[tokio::test]
async fn a_client_that_is_killed_is_fenced_by_its_lease() {
    alone(LIMIT, "a killed client", async {
        let (mut stage, clients) = stage().await;
        stage.contenders[0].kill().await;
        stage.all_granted_anew("after a client was killed").await;
        let verdict = stage.judge().await;
        only_these_ended(&verdict, &[]);
        assert_eq!(verdict.lived, clients - 1, "{verdict:?}");
    })
    .await;
}

/// Every pair of servers, both ways and each way.
#[tokio::test]
async fn links_between_servers_are_cut_in_every_direction() {
    alone(2 * LIMIT, "cut links between servers", async {
        let (mut stage, clients) = stage().await;
        for link in ["1,2", "1,3", "2,3"] {
            cut(&mut stage, &[link]).await;
            let back = link.split(',').rev().collect::<Vec<_>>().join(",");
            for one_way in [link, &back] {
                cut(&mut stage, &[one_way, "--one-way"]).await;
            }
        }
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

/// One client and each server, both ways and each way: it goes on through the others, or waits.
#[tokio::test]
async fn links_between_a_client_and_a_server_are_cut_in_every_direction() {
    alone(2 * LIMIT, "cut links of a client", async {
        let (mut stage, clients) = stage().await;
        for server in 1..=3 {
            let (there, back) = (format!("c1,{server}"), format!("{server},c1"));
            cut(&mut stage, &[&there]).await;
            cut(&mut stage, &[&there, "--one-way"]).await;
            cut(&mut stage, &[&back, "--one-way"]).await;
        }
        all_is_well(&stage.judge().await, clients);
    })
    .await;
}

/// A link is cut for longer than a server's lease and for less than a session's, and heals.
async fn cut(stage: &mut Stage, link: &[&str]) {
    let arguments = [&["partition", "--for", "1500ms"], link].concat();
    stage.servers.fault(1, &arguments, true).await;
    // Nothing can be waited for here: what a cut does may be nothing.
    sleep(Duration::from_millis(1600)).await;
    stage.even().await;
    let what = format!("after {link:?} was cut");
    stage.all_granted_anew(&what).await;
}

#[tokio::test]
async fn a_client_that_reaches_no_server_lets_go_before_others_get_its_locks() {
    alone(LIMIT, "a client alone", async {
        let (mut stage, _) = stage().await;
        for server in stage.servers.numbers() {
            let link = format!("c1,{server}");
            stage.servers.fault(1, &["partition", &link], true).await;
        }
        stage.contenders[0]
            .until("that its session is over", |said| !said.lost.is_empty())
            .await;
        stage.all_granted_anew("without it").await;
        stage.servers.fault(1, &["heal"], true).await;
        stage.contenders[0]
            .until("that it came back", |said| said.keeps.len() == 2)
            .await;
        stage.all_granted_anew("after it came back").await;
        only_these_ended(&stage.judge().await, &["c1"]);
    })
    .await;
}

/// The log of a server that follows cannot be written: it says so and ends, and the others go on. With room
/// again it is a member as before.
#[tokio::test]
async fn a_server_whose_disk_is_full_ends_and_comes_back_when_there_is_room() {
    alone(LIMIT, "a full disk", async {
        let dir = tempfile::tempdir().unwrap();
        // The log gets no room in advance, which it would write into when the disk is full.
        let Some(disk) = SmallDisk::at(&dir.path().join("disk"), 1024) else {
            return;
        };
        let mut options = StageOptions::default();
        let clients = options.contenders;
        let data = dir.path().join("disk/data");
        options.servers.elsewhere.insert(3, data);
        let mut stage = Stage::start(options).await;
        disk.fill();
        let mut ended = None;
        for number in 0..2000 {
            // Each is an entry of the log, and its end another one.
            stage.client(&format!("entry{number}")).await.close().await;
            ended = stage.servers.process(3).ended();
            if ended.is_some() {
                break;
            }
        }
        let ended = ended.expect("a server that cannot write ends");
        let said = stage.servers.process(3).said();
        assert!(!ended.success(), "{said}");
        assert!(said.contains("no space is left in"), "{said}");
        assert!(
            said.contains("make room and start the server again"),
            "{said}"
        );
        stage.all_granted_anew("with a server less").await;
        disk.make_room();
        stage.servers.restart(3);
        stage.servers.ready().await;
        stage.even().await;
        stage.all_granted_anew("with all servers").await;
        all_is_well(&stage.judge().await, clients);
        drop(stage);
        drop(disk);
    })
    .await;
}
