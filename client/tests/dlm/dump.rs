//! `dlm dump`: the formats of other people's tools, and those tools on them.

use std::path::Path;
use std::sync::Arc;

use dlm_client::glocks::{GlockConfig, Glocks, Holder, HolderRequest, Objects};
use dlm_client::{Client, GlockName, HolderFlags, Owner, Role, State};
use tokio::process::Command;
use tokio::time::timeout;

use crate::machine::has_gfs2_utils;
use crate::stage::{PATIENCE, fails, join, serve, succeeds};

struct File;

impl Objects for File {
    fn sync(&self, _: GlockName) {}
    fn invalidate(&self, _: GlockName, _: State) {}
    fn dump(&self, name: GlockName) -> Option<String> {
        let number = name.number;
        Some(format!(
            "I: n:1/{number} t:8 f:0x00 d:0x00000000 s:4096 p:1"
        ))
    }
}

/// Two nodes: the first holds a file, and the second waits for it.
struct Cluster {
    _server: dlm_server::embedded::Server,
    endpoint: String,
    nodes: Vec<(Client, Glocks, Owner)>,
    _held: Holder,
    waits: tokio::task::JoinHandle<()>,
}

const FILE: GlockName = GlockName::inode(0x102ab);

fn request(owner: Owner) -> HolderRequest {
    HolderRequest {
        name: FILE,
        state: State::Ex,
        flags: HolderFlags::empty(),
        owner,
        role: Role::Operation,
    }
}

impl Cluster {
    async fn start() -> Self {
        let (server, endpoint) = serve().await;
        let mut nodes = Vec::new();
        for name in ["node1", "node2"] {
            let client = join(&endpoint, name).await;
            let lockspace = client.lockspace("volume").await.unwrap();
            let glocks = Glocks::new(&lockspace, Arc::new(File), GlockConfig::default());
            let task = glocks.task(&format!("task of {name}"));
            nodes.push((client, glocks, task));
        }
        let (_, glocks, task) = &nodes[0];
        let held = glocks.lock_async(request(*task)).await.unwrap();
        let (_, glocks, task) = &nodes[1];
        let (glocks, task) = (glocks.clone(), *task);
        let waits = tokio::spawn(async move {
            let _ = glocks.lock_async(request(task)).await;
        });
        let cluster = Self {
            _server: server,
            endpoint,
            nodes,
            _held: held,
            waits,
        };
        let waits =
            async { while !cluster.dump(&["--file", "waiters"]).await.contains("102ab") {} };
        timeout(PATIENCE, waits).await.expect("it waits");
        cluster
    }

    async fn dump(&self, arguments: &[&str]) -> String {
        succeeds(&self.endpoint, &[&["dump"], arguments].concat()).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.waits.abort();
    }
}

#[tokio::test]
async fn each_format_has_every_lock_and_glock() {
    let cluster = Cluster::start().await;
    let [a, b] = [0, 1].map(|node: usize| cluster.nodes[node].0.id().0);
    let locks = cluster.dump(&[]).await;
    let row = format!("{a}00000001 {a} 1 1 0 ");
    let rows: Vec<_> = locks.lines().collect();
    assert_eq!(rows.len(), 3, "{locks}");
    assert!(
        rows[0].starts_with("id nodeid remid pid xid exflags flags sts grmode rqmode "),
        "{locks}"
    );
    assert!(
        rows[1].starts_with(&row) && rows[1].ends_with(" 0 24 \"       2           102ab\""),
        "{locks}"
    );
    let waiters = cluster.dump(&["--file", "waiters"]).await;
    assert_eq!(
        waiters,
        format!("{b}00000001 1 {b}        2           102ab\n")
    );
    assert!(
        cluster
            .dump(&["--file", "all"])
            .await
            .starts_with("version rsb 1.1 lvb 1.1 lkb 1.1\nrsb ")
    );
    assert!(
        cluster
            .dump(&["--file", "human"])
            .await
            .starts_with("\nResource ")
    );

    let glocks = cluster.dump(&["--format", "gfs2"]).await;
    let lines: Vec<_> = glocks.lines().collect();
    assert_eq!(lines[0], format!("@ node1 (session {a}), volume"));
    assert!(
        lines[1].starts_with("G:  s:EX n:2/102ab f:Dqo t:EX d:UN/"),
        "{glocks}"
    );
    assert_eq!(lines[2], " H: s:EX f:H e:0 p:1 [task of node1]");
    assert_eq!(lines[3], " I: n:1/66219 t:8 f:0x00 d:0x00000000 s:4096 p:1");
    assert_eq!(lines[4], format!("@ node2 (session {b}), volume"));
    assert!(
        lines[5].starts_with("G:  s:UN n:2/102ab f:lcqbn t:EX d:EX/0 "),
        "{glocks}"
    );
    assert_eq!(lines[6], " H: s:EX f:W e:0 p:1 [task of node2]");
    let one = cluster.dump(&["--format", "gfs2", "--node", "node2"]).await;
    assert_eq!(one.lines().collect::<Vec<_>>(), lines[5..]);

    let document = cluster.dump(&["--json"]).await;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["lockspaces"][0]["name"], "volume");
    assert_eq!(document["resources"][0]["locks"][1]["requested"], "EX");
    assert_eq!(
        document["nodes"][1]["glocks"][0]["holders"][0]["flags"],
        "W"
    );
}

#[tokio::test]
async fn a_file_is_of_one_lockspace_and_goes_where_it_is_told() {
    let cluster = Cluster::start().await;
    let _other = cluster.nodes[0].0.lockspace("other").await.unwrap();
    let said = fails(&cluster.endpoint, &["dump"]).await;
    assert!(
        said.contains("volume, other; name one with --lockspace"),
        "{said}"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("locks");
    let path = path.to_str().unwrap();
    let said = cluster
        .dump(&["--lockspace", "volume", "--output", path])
        .await;
    assert_eq!(said, "");
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 3);
    let said = fails(&cluster.endpoint, &["dump", "--tree", path]).await;
    assert!(
        said.contains("name another directory with --tree"),
        "{said}"
    );
}

fn read(root: &Path, path: &str) -> String {
    let path = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn the_tree_is_that_of_debugfs_for_each_node() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Twice: what was there is written anew.
    for _ in 0..2 {
        cluster.dump(&["--tree", root.to_str().unwrap()]).await;
    }
    let glocks = read(root, "node1/gfs2/glockwork:volume/glocks");
    assert!(
        glocks.starts_with("G:  s:EX n:2/102ab ") && glocks.lines().count() == 3,
        "{glocks}"
    );
    let locks = read(root, "node2/dlm/volume_locks");
    let own = |line: &&str| line.split(' ').nth(1) == Some("0");
    assert_eq!(locks.lines().skip(1).filter(own).count(), 1, "{locks}");
    assert_eq!(read(root, "node2/dlm/volume_waiters"), "");
    assert!(read(root, "node2/dlm/volume_all").starts_with("version "));
    assert!(read(root, "node2/dlm/volume").contains("Master Copy"));
}

/// The real thing, on a debugfs and a /proc of its own.
#[tokio::test]
async fn glocktop_reads_the_tree() {
    if !has_gfs2_utils() {
        return;
    }
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    cluster.dump(&["--tree", root, "--node", "node1"]).await;
    let script = "mount --bind \"$0\" /sys/kernel/debug && mount -t tmpfs none /proc \
                  && echo debugfs /sys/kernel/debug debugfs rw 0 0 >/proc/mounts && exec timeout 60 glocktop -n 1";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, root])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let waiter = cluster.nodes[1].0.id().0;
    for part in [
        "@ volume ",
        " G:  s:EX n:2/102ab f:Dqo t:EX d:UN/",
        "  D: Granted EX on this node to pid 1 ",
        &format!("  D: Waiting for node {waiter}, pid 1"),
        "  H: s:EX f:H e:0 p:1 [task of node1]",
        "Held:Exclusive",
        "held by pid 1 [task of node1]",
    ] {
        assert!(said.contains(part), "{part:?}:\n{said}");
    }
}
