//! A trace goes from a page fault on a node through its glock to the lock server's grant, over two processes.

use std::time::Duration;

use dlm_client::nodes::{Group, NodeHandle, Policy, Workload};
use opentelemetry_proto::tonic::trace::v1::Span;
use tests::collector::{Collector, text};
use tests::machine;
use tests::process::{Nodes, PATIENCE, Servers, ServersOptions, within};
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
        let arguments = ["--otlp-endpoint", &collector.endpoint()];
        let mut nodes = Nodes::start(&servers, 2, (5, "1m"), &arguments).await;
        let handles = nodes.handles(2).await;
        run(&handles).await;
        let way = until(&collector, &mut nodes, |way| {
            way[0].events.iter().any(|event| event.name == "waits")
        })
        .await;
        let names: Vec<&str> = way.iter().map(|span| &span.name[..]).collect();
        assert_eq!(names, ["grant", "glock", "fault"]);
        assert!(way.iter().all(|span| span.trace_id == way[0].trace_id));
        let grant = &way[0].attributes;
        assert_eq!(text(grant, "glockwork.lockspace"), "glockwork");
        assert!(text(grant, "glockwork.node").starts_with("node"));
        assert!(text(grant, "glockwork.resource").starts_with("       2 "));
    })
    .await;
}

/// The first grant that is so, and all above it up to the page fault. The nodes are ended then.
async fn until(
    collector: &Collector,
    nodes: &mut Nodes,
    so: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    loop {
        let ways = collector.below(("dlm-server", "grant"), ("fs-node", "fault"));
        if let Some(way) = ways.into_iter().find(|way| so(way)) {
            for node in 1..=2 {
                nodes.process(node).terminate().await;
            }
            return way;
        }
        for node in 1..=2 {
            let counts = collector.counts();
            let process = nodes.process(node);
            assert!(
                process.ended().is_none(),
                "{}{counts:?}",
                process.last_words()
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The nodes begin to want each other's files.
async fn run(nodes: &[NodeHandle]) {
    for (index, node) in nodes.iter().enumerate() {
        let workload = Workload {
            run: 1,
            group: Group::Cross,
            policy: Policy::Ordered,
            nodes: nodes.len(),
            index,
            tasks: 2,
            files: 4,
            io_pages: 8,
            part_ios: 2,
            seed: 1,
            reads_percent: 50,
            length_us: 100_000_000,
        };
        node.prepare(&workload).await.expect("prepared");
    }
    for node in nodes {
        node.start(1, None).await.expect("started");
    }
}
