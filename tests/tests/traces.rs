//! A trace goes from a page fault on a node through its glock to the lock server's grant, over two processes.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tests::collector::{Collector, text};
use tests::machine;
use tests::process::{Binaries, PATIENCE, Process, Servers, ServersOptions, within};
use tokio::process::Command;
use tokio::time::sleep;

#[tokio::test]
async fn a_page_fault_is_an_ancestor_of_the_servers_grant() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the trace", async {
        let collector = Collector::start().await;
        let options = ServersOptions {
            count: 1,
            arguments: vec!["--otlp-endpoint".into(), collector.endpoint()],
            ..ServersOptions::default()
        };
        let servers = Servers::start(options).await;
        let nodes = [
            node(&servers, &collector, 0).await,
            node(&servers, &collector, 1).await,
        ];
        let way = until(&collector, nodes, |way| {
            way[0].events.iter().any(|event| event.name == "waits")
        })
        .await;
        let names: Vec<&str> = way.iter().map(|span| &span.name[..]).collect();
        assert_eq!(names, ["grant", "glock", "fault"]);
        assert!(way.iter().all(|span| span.trace_id == way[0].trace_id));
        let grant = &way[0].attributes;
        assert_eq!(text(grant, "glockwork.lockspace"), "glockwork");
        assert!(text(grant, "glockwork.node").starts_with("traced"));
        assert!(text(grant, "glockwork.resource").starts_with("       2 "));
    })
    .await;
}

/// The first grant that is so, and all above it up to the page fault. The nodes are ended then.
async fn until(
    collector: &Collector,
    mut nodes: [Process; 2],
    so: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    loop {
        let ways = collector.below(("dlm-server", "grant"), ("fs-node", "fault"));
        if let Some(way) = ways.into_iter().find(|way| so(way)) {
            for node in &mut nodes {
                node.terminate().await;
            }
            return way;
        }
        for node in &mut nodes {
            let counts = collector.counts();
            assert!(node.ended().is_none(), "{}{counts:?}", node.last_words());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// One of two nodes that want each other's files, and export their spans.
async fn node(servers: &Servers, collector: &Collector, index: usize) -> Process {
    let volume = servers.dir().join("volume");
    let program = Binaries::built().path("fs-node");
    if index == 0 {
        let made = Command::new(&program)
            .args(["mkfs", "--files", "8", "--file-size", "1m"])
            .arg(&volume)
            .status()
            .await
            .expect("a program");
        assert!(made.success());
    }
    let mut run = Command::new(&program);
    run.args(["run", "--name", &format!("traced{index}")])
        .args(["--workload", "cross", "--seconds", "100", "--nodes", "2"])
        .args(["--index", &index.to_string()])
        .args(["--endpoints", &servers.endpoint(1)])
        .args(["--otlp-endpoint", &collector.endpoint()])
        .arg("--volume")
        .arg(&volume);
    let log = servers.dir().join(format!("node{index}.log"));
    Process::start("node", &mut run, &log).expect("a node")
}
