//! Filesystem nodes as services: they are found, run workloads together, and end as they are told.

use std::time::Duration;

use dlm_client::nodes::{
    FoundNode, Group, Ledger, NodeHandle, Phase, Policy, Report, StoreFailure, StoreFault,
    Workload, WorkloadResult,
};
use tests::machine;
use tests::process::{Nodes, PATIENCE, Servers, ServersOptions, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// Files of a volume: four for the tasks, and the one for taking turns.
const FILES: usize = 4;
const SHAPE: (usize, &str) = (FILES + 1, "1m");

const fn workload(run: u64, group: Group, policy: Policy, nodes: usize) -> Workload {
    Workload {
        run,
        group,
        policy,
        nodes,
        index: 0,
        tasks: 2,
        files: FILES,
        io_pages: 4,
        part_ios: 2,
        seed: 1,
        reads_percent: 50,
        length_us: 700_000,
    }
}

/// What comes of it on every node; intervals and results are held against each other.
async fn run(nodes: &[NodeHandle], workload: Workload) -> Vec<WorkloadResult> {
    for (index, node) in nodes.iter().enumerate() {
        let found = node.prepare(&Workload { index, ..workload }).await;
        assert_eq!(found.expect("prepared").count, 0);
    }
    for node in nodes {
        node.start(workload.run, None).await.expect("started");
    }
    let mut results = Vec::new();
    for node in nodes {
        let mut reports = node.watch(workload.run, 0).await.expect("watched");
        let mut intervals = Vec::new();
        while let Some(report) = reports.next().await.expect("a report") {
            match report {
                Report::Progress(progress) => {
                    assert_eq!(progress.first as usize, intervals.len());
                    intervals.extend(progress.ops);
                }
                Report::Ended(result) => results.push(*result),
            }
        }
        let told: u64 = intervals.iter().copied().map(u64::from).sum();
        assert_eq!(told, results.last().expect("a result").tally.ops);
    }
    results
}

fn ledgers(results: &[WorkloadResult], of: usize) -> Vec<Ledger> {
    results[of].ledgers.clone()
}

#[tokio::test]
async fn nodes_run_every_workload_together_and_read_what_others_wrote() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the workloads", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 3, SHAPE, &[]).await;
        let handles = nodes.handles(3).await;
        let names: Vec<&str> = handles.iter().map(NodeHandle::name).collect();
        assert_eq!(names, ["node1", "node2", "node3"]);
        let mut number = 0;
        for group in Group::ALL {
            for policy in [Policy::Ordered, Policy::Nofault] {
                number += 1;
                // Files may have room for more than two I/Os of each task.
                let part_ios = if policy == Policy::Nofault { 5 } else { 2 };
                let one = workload(number, group, policy, 3);
                let results = run(&handles, Workload { part_ios, ..one }).await;
                for (at, result) in results.iter().enumerate() {
                    let tally = &result.tally;
                    assert_eq!(tally.data_errors.count, 0, "{group} {policy}: {tally:?}");
                    assert_eq!(tally.io_errors.count, 0, "{group} {policy}: {tally:?}");
                    assert!(tally.ops > 0 && tally.lock_messages > 0);
                    assert_eq!(result.witness.violations.count, 0, "{:?}", result.witness);
                    assert!(result.witness.grants > 0);
                    let reader = &handles[(at + 1) % 3];
                    let found = reader.verify(number, ledgers(&results, at)).await;
                    assert_eq!(found.expect("verified").count, 0, "{group} {policy}");
                    // What nobody wrote is not there.
                    let mut wrong = ledgers(&results, at);
                    for page in wrong.iter_mut().flat_map(|ledger| &mut ledger.files[0]) {
                        page.certain += 1;
                        page.attempted += 1;
                    }
                    let found = reader.verify(number, wrong).await.expect("verified");
                    assert!(found.count > 0, "{group} {policy}");
                }
            }
        }
        for number in 1..=3 {
            assert!(nodes.process(number).terminate().await.success());
        }
    })
    .await;
}

#[tokio::test]
async fn a_deadlock_is_broken_up_from_outside() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the deadlock", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 2, SHAPE, &[]).await;
        let handles = nodes.handles(2).await;
        let long = Workload {
            length_us: 600_000_000,
            ..workload(7, Group::Cross, Policy::Block, 2)
        };
        for (index, node) in handles.iter().enumerate() {
            node.prepare(&Workload { index, ..long })
                .await
                .expect("prepared");
        }
        for node in &handles {
            node.start(7, None).await.expect("started");
        }
        let busy = handles[0].prepare(&long).await.unwrap_err().to_string();
        assert!(busy.contains("busy with run 7"), "{busy}");
        let asked = dlm_client::Servers::parse(&servers.endpoint(1)).expect("an endpoint");
        while dlm_client::inspect::graph(&asked)
            .await
            .expect("a graph")
            .cycles
            .is_empty()
        {
            sleep(Duration::from_millis(100)).await;
        }
        for node in &handles {
            node.stop(7, true).await.expect("stopped");
        }
        for node in &handles {
            let mut reports = node.watch(7, 0).await.expect("watched");
            while reports.next().await.expect("a report").is_some() {}
            assert_eq!(node.status().await.expect("a status").phase, Phase::Ended);
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_killed_comes_back_under_its_name_when_it_is_fenced() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the return", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 2, SHAPE, &["--allow-faults"]).await;
        let before: Vec<FoundNode> = nodes.found(2, &[]).await;
        nodes.process(2).kill().await;
        nodes.start_again(2);
        let after = nodes.found(2, &[before[1].session]).await;
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1].name, "node2");

        // Told to withdraw, it ends, and says what it knew.
        let handles = nodes.handles(2).await;
        handles[1].withdraw("a test").await.expect("withdrawn");
        assert_eq!(nodes.process(2).wait().await.code(), Some(1));
        assert!(
            nodes.process(2).said().contains("a test"),
            "{}",
            nodes.process(2).said()
        );
    })
    .await;
}

#[tokio::test]
async fn storage_fails_as_it_is_told_to() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the faults", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 2, SHAPE, &["--allow-faults"]).await;
        let handles = nodes.handles(2).await;
        let stall = |for_us| StoreFailure {
            fault: StoreFault::Stall,
            for_us,
        };
        let long = Workload {
            length_us: 2_000_000,
            ..workload(1, Group::Cross, Policy::Ordered, 2)
        };
        for (index, node) in handles.iter().enumerate() {
            node.prepare(&Workload { index, ..long })
                .await
                .expect("prepared");
        }
        for node in &handles {
            node.start(1, None).await.expect("started");
        }
        handles[0]
            .fail_store(stall(Some(800_000)))
            .await
            .expect("stalled");
        let mut results = Vec::new();
        for node in &handles {
            let mut reports = node.watch(1, 0).await.expect("watched");
            while let Some(report) = reports.next().await.expect("a report") {
                if let Report::Ended(result) = report {
                    results.push(*result);
                }
            }
        }
        // Nobody fails, both wait.
        assert!(results[0].stall_us >= 700_000, "{}", results[0].stall_us);
        for result in &results {
            assert_eq!(result.tally.io_errors.count, 0, "{:?}", result.tally);
            assert_eq!(result.tally.data_errors.count, 0, "{:?}", result.tally);
        }
        let status = handles[0].status().await.expect("a status");
        assert_eq!(status.store_fault, StoreFault::None);

        // What cannot be written back is not given to others as if it were: the node withdraws.
        let fail = StoreFailure {
            fault: StoreFault::Fail,
            for_us: None,
        };
        // Its tasks alone change words in all files, so there is something to write back when the other node wants them.
        let again = Workload {
            run: 2,
            length_us: 60_000_000,
            ..workload(2, Group::Counters, Policy::Ordered, 1)
        };
        handles[0].prepare(&again).await.expect("prepared");
        handles[0].start(2, None).await.expect("started");
        handles[0].fail_store(fail).await.expect("failed");
        let other = handles[1].clone();
        let wants = tokio::spawn(async move { other.prepare(&again).await });
        assert_eq!(nodes.process(1).wait().await.code(), Some(1));
        let said = nodes.process(1).said();
        assert!(said.contains("cannot be written back"), "{said}");
        wants.abort();
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE, "the refusals", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 1, SHAPE, &[]).await;
        let handle = nodes.handles(1).await.remove(0);
        let one = workload(3, Group::Cross, Policy::Ordered, 1);
        for (wrong, says) in [
            (Workload { files: 5, ..one }, "fs-node mkfs"),
            (
                Workload {
                    io_pages: 256,
                    ..one
                },
                "fs-node mkfs",
            ),
            (Workload { nodes: 5, ..one }, "--files"),
        ] {
            let said = handle.prepare(&wrong).await.unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
        let said = handle.start(9, None).await.unwrap_err().to_string();
        assert!(said.contains("prepare it first"), "{said}");
        assert!(handle.watch(9, 0).await.is_err());
        assert!(handle.stop(9, true).await.is_err());
        assert!(handle.verify(9, Vec::new()).await.is_err());
        let fault = StoreFailure {
            fault: StoreFault::Fail,
            for_us: None,
        };
        let said = handle.fail_store(fault).await.unwrap_err().to_string();
        assert!(said.contains("--allow-faults"), "{said}");
        let glocks = handle.glocks().await.expect("a dump");
        assert!(glocks.lines().all(|line| !line.is_empty()), "{glocks}");
        // Prepared and stopped, prepared again, ended with the tasks still waiting.
        for _ in 0..2 {
            handle.prepare(&one).await.expect("prepared");
            handle.stop(3, false).await.expect("stopped");
            handle.prepare(&one).await.expect("prepared");
        }
        assert!(nodes.process(1).terminate().await.success());
    })
    .await;
}

#[tokio::test]
async fn what_a_node_counts_is_documented_and_served() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE, "the metrics", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let mut nodes = Nodes::start(&servers, 1, SHAPE, &["--http-listen", "127.0.0.1:0"]).await;
        nodes.found(1, &[]).await;
        let said = nodes.process(1).said();
        let at = said
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let at = at.expect("an address");
        let text = get(at, "/metrics").await;
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut served: Vec<String> = types
            .map(|line| match line.split_once(' ').expect("a type") {
                (name, "counter") => format!("{name}_total"),
                (name, "info") => format!("{name}_info"),
                (name, _) => name.to_owned(),
            })
            .filter(|name| name.starts_with("glockwork_"))
            .collect();
        served.sort();
        let document = include_str!("../../docs/operations.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
        let names = rows.filter_map(|row| row.split(['`', '{']).next());
        let mut documented: Vec<&str> = names
            .filter(|name| name.starts_with("glockwork_node_"))
            .collect();
        documented.sort_unstable();
        assert_eq!(served, documented);
        assert!(get(at, "/health").await.contains(" 200 "));
        assert!(get(at, "/else").await.contains(" 404 "));
    })
    .await;
}

async fn get(at: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    text
}
