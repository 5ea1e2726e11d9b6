//! Servers and clients as processes: killed, stopped, restarted, cut off.

use std::time::Duration;

use tests::process::{PATIENCE, Process, Servers, ServersOptions, Witness, within};
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
