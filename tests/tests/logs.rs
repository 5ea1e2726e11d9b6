//! What a lock server logs as JSON: a document a line, with everything by which one looks for a lock's.

use std::time::Duration;

use dlm_client::{Client, ConnectOptions, LockError, Mode, Servers as Endpoints};
use serde_json::Value;
use tests::process::{PATIENCE, Servers, ServersOptions, within};
use tokio::time::sleep;

/// A name with all that has to be written in another way.
const NAME: &str = "nightly \"x\"\n";
const RESOURCE: &str = "nightly \"x\"\\x0a";

async fn client(servers: &Servers, name: &str) -> Client {
    let options = ConnectOptions {
        servers: Endpoints::parse(&servers.endpoint(1)).expect("an endpoint"),
        name: name.into(),
    };
    Client::connect(options).await.expect("a session")
}

/// All lines so far, each of which is a document.
fn lines(servers: &mut Servers) -> Vec<Value> {
    let said = servers.process(1).said();
    // The last one may be half written.
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parsed = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    parsed.collect()
}

/// The first line that is so.
async fn line(servers: &mut Servers, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(found) = lines(servers).into_iter().find(&is) {
            return found;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_line_names_lockspace_resource_node_session_token_and_request() {
    within(PATIENCE, "the log", async {
        let mut servers = Servers::start(ServersOptions {
            count: 1,
            arguments: ["--log-format=json", "--log=info,dlm_server::locks=debug"]
                .map(Into::into)
                .to_vec(),
            ..ServersOptions::default()
        })
        .await;
        let (one, two) = (
            client(&servers, "node1").await,
            client(&servers, "node2").await,
        );
        let jobs = one.lockspace("jobs").await.expect("a lockspace");
        let held = jobs.lock(NAME, Mode::Ex).await.expect("it is free");
        let others = two.lockspace("jobs").await.expect("a lockspace");
        let tried = others.try_lock(NAME, Mode::Pr).await;
        assert!(matches!(tried, Err(LockError::TryFailed)), "it is held");

        let about = |message: &'static str| {
            move |line: &Value| line["message"] == message && line["resource"] == RESOURCE
        };
        let granted = line(&mut servers, about("granted")).await;
        assert_eq!(granted["level"], "DEBUG");
        assert_eq!(granted["lockspace"], "jobs");
        assert_eq!(granted["node"], "node1");
        assert_eq!(granted["mode"], "EX");
        assert_eq!(granted["token"], held.token().0);
        let session = granted["session"].as_u64().expect("a number");
        let request = granted["request"].as_str().expect("a request");
        assert!(request.starts_with(&session.to_string()), "{request}");
        let denied = line(&mut servers, about("denied")).await;
        assert_eq!(
            (&denied["node"], &denied["reason"]),
            (&"node2".into(), &"try".into())
        );
        assert_ne!(denied["session"], granted["session"]);

        let evicted = servers.dlm(&servers.endpoint(1), &["evict", "node2"]).await;
        assert!(evicted.is_some_and(|output| output.status.success()));
        let died = line(&mut servers, |line| line["level"] == "WARN").await;
        assert_eq!(
            (&died["node"], &died["session"]),
            (&denied["node"], &denied["session"])
        );
        let text = died["message"].as_str().expect("a text");
        assert!(text.contains("is dead: an operator evicted it"), "{text}");
        let starts = lines(&mut servers);
        assert!(
            starts.iter().any(|line| line["level"] == "INFO"),
            "{starts:?}"
        );
    })
    .await;
}
