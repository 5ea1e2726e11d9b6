//! A cluster in containers, brought up, broken and taken down by `deploy/cluster smoke`.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tests::machine::{has_docker, has_userfaultfd};
use tests::process::Binaries;

/// Each of its steps has a limit of its own, and all of them together are far below this.
const LIMIT: Duration = Duration::from_secs(600);
/// How long it may take to remove everything when it is told to end.
const CLEANING_MAX: Duration = Duration::from_secs(120);

#[test]
fn a_cluster_in_containers_comes_up_is_broken_and_goes() {
    if !has_docker() || !has_userfaultfd() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let dlm = Binaries::built().path("dlm");
    let mut smoke = Command::new(root.join("deploy/cluster"));
    smoke
        .arg("smoke")
        .arg("--from")
        .arg(dlm.parent().expect("a directory"));
    // Not what this test is told of other clusters.
    smoke.env_remove("GLOCKWORK_ENDPOINTS").process_group(0);
    let mut smoke = Ended(smoke.spawn().expect("deploy/cluster"));
    let status = smoke.within(LIMIT).expect("it ends in time");
    assert!(status.success(), "{status}");
}

/// It is told to end where it runs on, and removes what it made.
struct Ended(Child);

impl Ended {
    fn within(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return Some(status);
            }
            sleep(Duration::from_millis(100));
        }
        None
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if self.within(Duration::from_millis(1)).is_none() {
            let id = i32::try_from(self.0.id()).expect("a process's number");
            let _ = kill_process_group(Pid::from_raw(id).expect("a process"), Signal::TERM);
            if self.within(CLEANING_MAX).is_none() {
                let _ = self.0.kill();
            }
        }
    }
}
