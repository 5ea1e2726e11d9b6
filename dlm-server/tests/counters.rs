//! What a lock costs: one frame there and one back, no entry in the servers' log, and no byte on a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dlm_core::cluster::Timing;
use dlm_core::{Mode, ServerId, Status};
use dlm_server::embedded::{Cluster, Settings};
use glockwork_proto::wire;
use glockwork_proto::wire::cluster_client::ClusterClient;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use crate::raw::{PATIENCE, Raw, Told, connect};

mod raw;

const PAIRS: u64 = 1000;

/// Nobody is elected and nobody is lost because the machine is busy.
fn patient(settings: Settings) -> Settings {
    let timing = Timing {
        election_us_min: 2_000_000,
        election_us_max: 3_000_000,
        server_lease_us: 5_000_000,
        session_lease_us: 60_000_000,
        session_margin_us: 1_000_000,
        reassert_us_max: 70_000_000,
        ..Timing::DEFAULT
    };
    timing.check().expect("they fit together");
    Settings { timing, ..settings }
}

async fn status(client: &mut ClusterClient<Channel>) -> wire::ClusterStatusReply {
    let request = wire::ClusterStatusRequest { local: false };
    client.status(request).await.unwrap().into_inner()
}

/// Whether all three have their share of the slots, and serve them.
fn is_settled(status: &wire::ClusterStatusReply) -> bool {
    let state = status.state.as_ref().expect("a state");
    let mut shares = BTreeMap::new();
    for slot in &state.slots {
        let master = slot.master.as_ref().map_or(0, |master| master.server);
        *shares.entry(master).or_insert(0) += i32::from(slot.serving);
    }
    shares.len() == 3 && shares.values().all(|share| (85..=86).contains(share))
}

/// Where the log stands at each server, once nothing is decided any more.
async fn at_rest(client: &mut ClusterClient<Channel>) -> Vec<(u64, u64)> {
    let asked = async {
        let mut before = Vec::new();
        loop {
            let status = status(client).await;
            let reports = status.reports.iter();
            let now: Vec<_> = reports.map(|one| (one.term, one.applied)).collect();
            if is_settled(&status) && now.len() == 3 && now == before {
                return now;
            }
            before = now;
            sleep(Duration::from_millis(300)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("it comes to rest")
}

/// Every file under a directory, with its length and when it was changed.
fn files(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let known = path.metadata().unwrap();
        if known.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path, (known.len(), known.modified().unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn a_lock_costs_one_round_trip_and_no_entry_and_no_write() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_with(3, dir.path(), patient).await.unwrap();
    timeout(PATIENCE, cluster.ready()).await.expect("ready");
    let mut client = ClusterClient::new(connect(cluster.addr(ServerId(1))).await);
    at_rest(&mut client).await;
    let leads = ServerId(status(&mut client).await.leader);
    let mut a = Raw::join_over(&connect(cluster.addr(leads)).await, "a", "test").await;
    let status = status(&mut client).await;
    let slots = &status.state.expect("a state").slots;
    let name = (0..)
        .map(|number| format!("r{number}"))
        .find(|name| {
            let slot = &slots[a.slot_of(name).index()];
            slot.master.as_ref().map(|master| master.server) == Some(leads.0)
        })
        .expect("it masters a third of them");

    let log = at_rest(&mut client).await;
    let written = files(dir.path());
    assert!(written.len() >= 3, "{written:?}");
    let (sent, read) = (a.link.sent, a.link.read);
    for lock in 1..=PAIRS {
        a.hold(lock, &name, Mode::Ex).await;
        a.unlock(lock).await;
        let unlocked = Told::Done(lock, Status::Unlocked, None);
        assert_eq!(a.told().await, unlocked);
    }
    let each = 2 * PAIRS as usize;
    assert_eq!(a.link.sent - sent, each, "a frame for each operation");
    assert_eq!(a.link.read - read, each, "and one for its answer");
    assert_eq!(at_rest(&mut client).await, log, "nothing was decided");
    assert_eq!(files(dir.path()), written, "nothing was written");
    cluster.stop().await;
}
