//! `dlm workload` against real servers and nodes: what it prints and keeps, what it does when things break, and when
//! somebody has enough of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tests::machine;
use tests::process::{Binaries, Nodes, PATIENCE, Process, Servers, ServersOptions, within};
use tokio::process::Command;
use tokio::time::sleep;

/// Six files for three nodes, and the one for taking turns.
const SHAPE: (usize, &str) = (7, "1m");

async fn cluster(nodes: usize) -> (Servers, Nodes) {
    let options = ServersOptions {
        arguments: vec!["--allow-faults".into()],
        ..ServersOptions::default()
    };
    let servers = Servers::start(options).await;
    let mut started = Nodes::start(&servers, nodes, SHAPE, &["--allow-faults"]).await;
    started.found(nodes, &[]).await;
    (servers, started)
}

fn workload(servers: &Servers, arguments: &[&str]) -> Command {
    let mut command = Command::new(Binaries::built().path("dlm"));
    command
        .args(["--endpoints", &servers.endpoints(), "workload"])
        .args(arguments)
        .kill_on_drop(true);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn document(output: &Output) -> Value {
    let text = &output.stdout;
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

fn faults(run: &Value) -> &Vec<Value> {
    run["verdict"]["faults"].as_array().expect("a list")
}

#[tokio::test]
async fn a_run_is_printed_kept_and_read_again_and_policies_are_compared() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the runs", async {
        let (servers, _nodes) = cluster(3).await;
        let out = servers.dir().join("runs");
        let at = out.display().to_string();
        let one = ["--seconds", "1", "--group", "mixed", "--out", &at];
        let output = workload(&servers, &one).output().await.expect("a program");
        assert!(output.status.success(), "{}", stderr(&output));
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains("The run was clean"), "{report}");
        assert!(
            report.lines().all(|line| line.chars().count() <= 100),
            "{report}"
        );

        let kept: Vec<PathBuf> = fs::read_dir(&out)
            .unwrap()
            .map(|one| one.unwrap().path())
            .collect();
        let [kept] = &kept[..] else {
            panic!("{kept:?}")
        };
        for file in [
            "run.json",
            "report.txt",
            "config.toml",
            "ops.svg",
            "latency.svg",
            "costs.svg",
        ] {
            assert!(kept.join(file).exists(), "{file}");
        }
        let again = ["report", &kept.display().to_string()];
        let output = workload(&servers, &again)
            .output()
            .await
            .expect("a program");
        assert_eq!(String::from_utf8_lossy(&output.stdout), report);

        let both = [
            "--compare=block,ordered",
            "--seconds",
            "1",
            "--no-save",
            "--json",
        ];
        let output = workload(&servers, &both).output().await.expect("a program");
        assert!(output.status.success(), "{}", stderr(&output));
        let runs = document(&output);
        let runs = runs["runs"]
            .as_array()
            .or(runs.as_array())
            .expect("runs")
            .clone();
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0]["config"]["policy"], "block");
        assert!(runs[1]["total"]["ops"].as_u64() > Some(0), "{}", runs[1]);
        assert!(runs[1]["deadlock"].is_null());
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_killed_goes_on_when_it_is_back_and_a_server_that_is_cut_off_is_missed_by_nobody()
 {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 3, "the scenario", async {
        let (servers, mut nodes) = cluster(3).await;
        let control = Control::new(servers.dir());
        let scenario = servers.dir().join("broken.toml");
        let text = r#"
            [workload]
            seconds = 16
            [[at]]
            time = "1s"
            do = "kill"
            target = "node2"
            for = "1s"
            [[at]]
            time = "1500ms"
            do = "cut"
            target = "a-follower"
            for = "3s"
        "#;
        fs::write(&scenario, text).unwrap();
        let scenario = scenario.display().to_string();
        let script = control.script.display().to_string();
        let arguments = [
            "--scenario",
            &scenario,
            "--control",
            &script,
            "--no-save",
            "--json",
        ];
        let mut command = workload(&servers, &arguments);
        let running = command.output();
        tokio::pin!(running);
        let output = loop {
            tokio::select! {
                output = &mut running => break output.expect("a program"),
                order = control.order() => {
                    let (verb, name) = order.split_once(' ').expect("a verb and a name");
                    let number = name.strip_prefix("node").and_then(|n| n.parse().ok());
                    match (verb, number) {
                        ("kill", Some(number)) => nodes.process(number).kill().await,
                        ("restart", Some(number)) => nodes.start_again(number),
                        // A cut one: by the servers themselves, which stands for it here.
                        ("partition" | "heal", None) => {}
                        _ => panic!("{order}"),
                    }
                    control.done(&order);
                }
            }
        };
        let run = document(&output);
        assert!(
            output.status.success(),
            "{} {:?}",
            stderr(&output),
            faults(&run)
        );
        assert_eq!(run["verdict"]["clean"], true);
        assert_eq!(run["verdict"]["sessions_excused"], 1, "{}", run["verdict"]);
        let said = stderr(&output);
        assert!(said.contains("its session is over"), "{said}");
        assert!(said.contains("a new session goes on with it"), "{said}");
        assert_eq!(run["checked"]["count"], 0);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_enough_of_it_leaves_nothing_broken() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE * 2, "the interrupt", async {
        let (servers, _nodes) = cluster(2).await;
        let scenario = servers.dir().join("stalled.toml");
        let text = "[workload]\nseconds = 60\n[[at]]\ntime = \"0s\"\ndo = \"stall-store\"\ntarget = \"node1\"\n\
                    [[at]]\ntime = \"100ms\"\ndo = \"slow\"\ntarget = \"node2\"\ndelay = \"1ms\"\n";
        fs::write(&scenario, text).unwrap();
        let scenario = scenario.display().to_string();
        let log = servers.dir().join("workload.log");
        let mut command = workload(&servers, &["--scenario", &scenario, "--no-save"]);
        let mut process = Process::start("workload", &mut command, &log).expect("a program");
        while !process.said().contains("slow") {
            assert!(process.ended().is_none(), "{}", process.last_words());
            sleep(Duration::from_millis(50)).await;
        }
        process.signal(rustix::process::Signal::INT);
        let ended = process.wait().await;
        assert_eq!(ended.code(), Some(130), "{}", process.last_words());
        // Nothing is left of the faults, and the nodes take the next one.
        let mut list = Command::new(Binaries::built().path("dlm"));
        list.args(["--endpoints", &servers.endpoints(), "fault", "list", "--json"]);
        let listed: Value = document(&list.output().await.expect("a program"));
        assert_eq!(listed["faults"].as_array().map(Vec::len), Some(0), "{listed}");
        let next = ["--seconds", "1", "--no-save"];
        let output = workload(&servers, &next).output().await.expect("a program");
        assert!(output.status.success(), "{}", stderr(&output));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_run_is_said_in_one_line() {
    if !machine::has_userfaultfd() {
        return;
    }
    within(PATIENCE, "the refusals", async {
        let servers = Servers::start(ServersOptions::default()).await;
        let said = async |arguments: &[&str], code: i32| {
            let output = workload(&servers, arguments)
                .output()
                .await
                .expect("a program");
            assert_eq!(
                output.status.code(),
                Some(code),
                "{arguments:?}: {}",
                stderr(&output)
            );
            stderr(&output)
        };
        let text = said(&["--no-save"], 1).await;
        assert!(
            text.contains("fs-node run") && text.lines().count() == 1,
            "{text}"
        );
        let mut nodes = Nodes::start(&servers, 2, SHAPE, &[]).await;
        nodes.found(2, &[]).await;
        let kill = servers.dir().join("kill.toml");
        fs::write(
            &kill,
            "[[at]]\ntime = \"1s\"\ndo = \"kill\"\ntarget = \"node2\"\n",
        )
        .unwrap();
        let kill = kill.display().to_string();
        for (arguments, code, says) in [
            (&["--nodes", "node9"][..], 1, "node1, node2"),
            (&["--seconds", "0"], 2, "seconds"),
            (&["--io-size", "5000"], 2, "multiple of 4096"),
            (&["--io-size", "4m", "--no-save"], 1, "fs-node mkfs"),
            (&["--files", "7", "--no-save"], 1, "fs-node mkfs"),
            (&["--scenario", "/nowhere.toml"], 2, "/nowhere.toml"),
            (&["--scenario", &kill], 2, "--control"),
            (&["--policy", "block", "--compare"], 2, "--compare"),
            (&["report", "/nowhere"], 1, "/nowhere"),
        ] {
            let text = said(arguments, code).await;
            assert!(text.contains(says), "{arguments:?}: {text}");
        }
    })
    .await;
}

/// A command with power over processes: it says what it was told, and waits until the test has done it.
struct Control {
    script: PathBuf,
    orders: PathBuf,
    done: PathBuf,
}

impl Control {
    fn new(dir: &Path) -> Self {
        let of = |name: &str| dir.join(name);
        let (script, orders, done) = (of("control"), of("orders"), of("done"));
        fs::create_dir(&orders).unwrap();
        fs::create_dir(&done).unwrap();
        let text = format!(
            "#!/bin/sh\ntouch \"{}/$1 $2\"\nwhile [ ! -e \"{}/$1 $2\" ]; do sleep 0.05; done\n",
            orders.display(),
            done.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            script,
            orders,
            done,
        }
    }

    /// The next thing that is wanted, such as `kill node2`.
    async fn order(&self) -> String {
        loop {
            if let Some(order) = fs::read_dir(&self.orders).unwrap().next() {
                let order = order.unwrap();
                fs::remove_file(order.path()).unwrap();
                return order.file_name().into_string().unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn done(&self, order: &str) {
        fs::write(self.done.join(order), "").unwrap();
    }
}
