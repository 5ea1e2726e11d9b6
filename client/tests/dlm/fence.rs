//! `dlm fence agent` and `dlm fence call` against a container engine that is made up, and `dlm health`.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::engine::{Fake, FakeEngine, Run};
use crate::stage::{PATIENCE, dlm, eventually, run, serve};

const HOUR: Duration = Duration::from_secs(3600);
/// As servers give it: the cluster, how old the session is, what is left of its lease.
const OLD: [(&str, &str); 3] = [
    ("GLOCKWORK_CLUSTER_ID", "000000000000000000000000000000a1"),
    ("GLOCKWORK_AGE_MS", "60000"),
    ("GLOCKWORK_LEASE_LEFT_MS", "0"),
];

/// An agent that runs, and where it is asked.
struct Agent {
    address: String,
    _child: Child,
}

impl Agent {
    async fn start(engine: &FakeEngine, options: &[&str]) -> Self {
        let socket = engine.socket();
        let fixed = ["fence", "agent", "--listen", "127.0.0.1:0", "--engine"];
        let arguments = [&fixed[..], &[socket.to_str().unwrap()], options].concat();
        let mut child = dlm("127.0.0.1:1", &arguments).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = said.next_line().await.unwrap().unwrap();
        let address = first.rsplit(' ').next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{first}");
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self {
            address,
            _child: child,
        }
    }

    fn call(&self, session: &str, name: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = dlm(
            "127.0.0.1:1",
            &["fence", "call", &self.address, session, name],
        );
        command.envs(environment.iter().copied());
        command
    }

    async fn fences(&self, session: &str, name: &str, environment: &[(&str, &str)]) -> String {
        let output = self
            .call(session, name, environment)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn refuses(&self, session: &str, name: &str, environment: &[(&str, &str)]) -> String {
        let output = self
            .call(session, name, environment)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }
}

#[tokio::test]
async fn a_node_is_killed_once_and_started_again() {
    let engine = FakeEngine::start([Fake::up("node1", HOUR), Fake::up("node2", HOUR)]);
    let agent = Agent::start(&engine, &[]).await;
    let said = agent.fences("7", "node1", &OLD).await;
    assert_eq!(said, "node1 is fenced: one-node1 was killed.\n");
    eventually("node1 is started again", || engine.of("node1").starts == 1).await;
    // Another leader runs the command again, and an older session's fence comes late.
    for session in ["7", "6"] {
        let said = agent.fences(session, "node1", &OLD).await;
        assert_eq!(said, "node1 is fenced: it was fenced earlier.\n");
    }
    assert_eq!((engine.of("node1").kills, engine.of("node2").kills), (1, 0));
    // The next session of the node is another one, and so is one of another cluster.
    let young = [OLD[0], ("GLOCKWORK_AGE_MS", "0"), OLD[2]];
    let said = agent.fences("8", "node1", &young).await;
    assert_eq!(said, "node1 is fenced: one-node1 was killed.\n");
    let others = [("GLOCKWORK_CLUSTER_ID", "ffffffffffffffffffffffffffffffff")];
    agent.fences("1", "node2", &others).await;
    assert_eq!((engine.of("node1").kills, engine.of("node2").kills), (2, 1));
}

#[tokio::test]
async fn a_node_that_came_back_by_itself_is_not_stopped_for_its_former_session() {
    let engine = FakeEngine::start([Fake::up("node1", Duration::from_secs(30))]);
    let agent = Agent::start(&engine, &[]).await;
    let said = agent.fences("7", "node1", &OLD).await;
    assert_eq!(
        said,
        "node1 is fenced: one-node1 was started after it had joined.\n"
    );
    assert_eq!(
        (engine.of("node1").kills, engine.of("node1").starts),
        (0, 0)
    );
    // Of whom nothing is known it is believed that it runs.
    agent.fences("7", "node1", &[]).await;
    assert_eq!(engine.of("node1").kills, 1);
}

#[tokio::test]
async fn what_does_not_run_is_not_started() {
    for state in [Run::Down, Run::Restarting] {
        let down = Fake {
            state,
            ..Fake::up("node1", HOUR)
        };
        let engine = FakeEngine::start([down]);
        let agent = Agent::start(&engine, &[]).await;
        let said = agent.fences("7", "node1", &OLD).await;
        assert_eq!(said, "node1 is fenced: one-node1 does not run.\n");
        assert_eq!(
            (engine.of("node1").kills, engine.of("node1").starts),
            (0, 0)
        );
    }
    let engine = FakeEngine::start([Fake::up("node1", HOUR)]);
    let agent = Agent::start(&engine, &["--action", "off"]).await;
    agent.fences("7", "node1", &OLD).await;
    // The next order begins when everything of the one before has ended.
    agent.fences("7", "node1", &OLD).await;
    assert_eq!(
        (engine.of("node1").kills, engine.of("node1").starts),
        (1, 0)
    );
}

#[tokio::test]
async fn who_has_no_container_is_believed_or_not() {
    let elsewhere = Fake {
        cluster: "two",
        ..Fake::up("node1", HOUR)
    };
    let engine = FakeEngine::start([elsewhere]);
    let agent = Agent::start(&engine, &["--cluster", "one"]).await;
    let left = [("GLOCKWORK_LEASE_LEFT_MS", "300")];
    let before = std::time::Instant::now();
    let said = agent.fences("7", "node1", &left).await;
    assert_eq!(
        said,
        "node1 is fenced: it has no container, and its lease is over.\n"
    );
    assert!(before.elapsed() >= Duration::from_millis(300));
    let strict = Agent::start(&engine, &["--cluster", "one", "--others", "refuse"]).await;
    let said = strict.refuses("7", "node1", &OLD).await;
    assert!(said.contains("io.glockwork.node=node1"), "{said}");
    assert_eq!(engine.of("node1").kills, 0);
}

#[tokio::test]
async fn a_fence_that_fails_says_why_and_one_nobody_waits_for_is_carried_out() {
    let broken = Fake {
        kill_fails: true,
        ..Fake::up("node1", HOUR)
    };
    let slow = Fake {
        kill_takes: Duration::from_secs(1),
        ..Fake::up("node2", HOUR)
    };
    let engine = FakeEngine::start([broken, slow]);
    let agent = Agent::start(&engine, &[]).await;
    let said = agent.refuses("7", "node1", &OLD).await;
    assert!(said.contains("the host is on fire"), "{said}");
    let mut hasty = agent.call("8", "node2", &OLD);
    let output = hasty.args(["--timeout", "200ms"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    eventually("node2 is started again", || engine.of("node2").starts == 1).await;
    engine.stop();
    let said = agent.refuses("9", "node2", &OLD).await;
    assert!(said.contains("engine.sock"), "{said}");
    let gone = dlm(
        "127.0.0.1:1",
        &["fence", "call", "127.0.0.1:1", "7", "node1"],
    );
    let said = { gone }.output().await.unwrap();
    assert_eq!(said.status.code(), Some(1));
}

#[tokio::test]
async fn an_agent_is_as_well_as_its_engine() {
    let engine = FakeEngine::start([]);
    let agent = Agent::start(&engine, &[]).await;
    assert_eq!(
        services(&agent.address).await,
        ["glockwork.v1.Fence", "grpc.health.v1.Health"]
    );
    let ask = async || {
        run("127.0.0.1:1", &["health", &agent.address])
            .await
            .status
            .code()
    };
    for (code, then) in [(0, true), (1, false)] {
        let until = tokio::time::Instant::now() + PATIENCE;
        while ask().await != Some(code) {
            assert!(tokio::time::Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if then {
            engine.stop();
        }
    }
    let open = ["fence", "agent", "--listen", "0.0.0.0:0"];
    let output = dlm("127.0.0.1:1", &open)
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure"));
}

/// What reflection lists, but for itself.
async fn services(address: &str) -> Vec<String> {
    let there = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = ServerReflectionClient::new(there.connect().await.unwrap());
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = client
        .server_reflection_info(tokio_stream::once(question))
        .await;
    let reply = asked
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else {
        panic!("{reply:?}");
    };
    let names = list.service.into_iter().map(|service| service.name);
    let mut names: Vec<String> = names.filter(|name| !name.contains("reflection")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_server_says_whether_it_serves() {
    let (server, endpoint) = serve().await;
    let ask = async |service: &str| {
        let output = run("127.0.0.1:1", &["health", &endpoint, "--service", service]).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    assert_eq!(ask("").await, (Some(0), format!("{endpoint} serves.\n")));
    assert_eq!(ask("glockwork.v1.Link").await.0, Some(0));
    let (code, said) = ask("glockwork.v1.Nothing").await;
    assert!(
        code == Some(1) && said.contains("glockwork.v1.Nothing"),
        "{said}"
    );
    server.stop().await;
    let (code, said) = ask("").await;
    assert!(code == Some(1) && said.contains(&endpoint), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
