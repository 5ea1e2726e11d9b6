//! What the server counts, for Prometheus; docs/operations.md has a line for each.
//!
//! [`Metrics`] is a handful of shared atomic numbers: whoever counts keeps a clone, and counting takes no
//! lock. The names are given in [`Metrics::new`] and nowhere else. [`web`](crate::web) answers with their text.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

mod locks;

pub use locks::{Denials, LockMetrics, denial};

/// What all names begin with.
const PREFIX: &str = "glockwork";

/// How long the recovery of a slot is taken to last: an aim of a tenth of a second, and a limit of ten.
const RECOVERY_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The numbers. A clone counts the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Raft's log and the disk.
    pub log: LogMetrics,
    /// Locks.
    pub locks: LockMetrics,
    /// Clients' sessions, as the cluster's state has them.
    pub sessions: SessionMetrics,
    /// The slots of which this server is master.
    pub slots: SlotMetrics,
    /// Frames of all streams of clients.
    pub frames: FrameMetrics,
    /// The HTTP port.
    pub http: HttpMetrics,
    registry: Arc<Registry>,
}

/// Of the log that the servers have in common.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    /// Entries that were applied to the state.
    pub applied: Counter,
    /// Entries that this server proposed, as the leader.
    pub proposed: Counter,
    /// Writes to the disk.
    pub disk_writes: Counter,
    /// Writes to the disk that were waited for until they were safe.
    pub disk_syncs: Counter,
    /// 1 where this server leads, otherwise 0.
    pub leader: Gauge,
    /// Raft's term.
    pub term: Gauge,
    /// How often this server's lease ran out and it got another one, without having been away: its slots
    /// stood still, or moved, for nothing.
    pub false_failovers: Counter,
}

/// Of sessions.
#[derive(Clone, Debug)]
pub struct SessionMetrics {
    /// Those that live.
    pub live: Gauge,
    /// Those that are dead, and were dealt with.
    pub dead: Gauge,
    /// Those that are dead and whose locks still stand in others' way.
    pub blocked: Gauge,
    /// Sessions that were ended because of what they did, or did not.
    pub evictions: Counter,
}

/// Of slots here.
#[derive(Clone, Debug)]
pub struct SlotMetrics {
    /// Those that wait for what clients claim.
    pub recovering: Gauge,
    /// Those that wait for the table of the master before.
    pub arriving: Gauge,
    /// Those that serve.
    pub serving: Gauge,
    /// Those that send their table away.
    pub leaving: Gauge,
    /// Those that were given up.
    pub broken: Gauge,
    /// How long recoveries took, in seconds; and so how many there were.
    pub recoveries: Histogram,
    /// Slots that came here with their table.
    pub moves: Counter,
}

/// Of frames.
#[derive(Clone, Debug)]
pub struct FrameMetrics {
    /// From clients.
    pub received: Counter,
    /// To clients.
    pub sent: Counter,
}

/// Of the HTTP port.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Pages that are open and kept up to date.
    pub listeners: Gauge,
    /// Those that were dropped because they did not read.
    pub dropped: Counter,
}

/// One label.
type Label = [(&'static str, &'static str); 1];

impl Metrics {
    /// All at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        // The only one whose name all programs have in common.
        let started = Gauge::<f64, AtomicU64>::default();
        started.set(since_epoch().as_secs_f64());
        let help = "When the process began, in seconds since 1970";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, started);
        let mut names = Names(registry.sub_registry_with_prefix(PREFIX));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        names.0.register("build", "The program", version);
        let metrics = Self {
            log: LogMetrics::new(&mut names),
            locks: LockMetrics::new(&mut names),
            sessions: SessionMetrics::new(&mut names),
            slots: SlotMetrics::new(&mut names),
            frames: FrameMetrics::new(&mut names),
            http: HttpMetrics::new(&mut names),
            registry: Arc::default(),
        };
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    /// The numbers as they are now, as OpenMetrics' text has them.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes all that is written to it");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn since_epoch() -> Duration {
    // A clock that is before 1970 says nothing.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

struct Names<'a>(&'a mut Registry);

impl Names<'_> {
    /// A metric without labels.
    fn one<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.one(name, help, Counter::default())
    }

    /// Its name gets `_seconds` at its end.
    fn seconds(&mut self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let histogram = Histogram::new(buckets.iter().copied());
        self.0
            .register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.one(name, help, Gauge::default())
    }

    /// One metric for each value of a label.
    fn each<M: Clone + Default, const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        label: &'static str,
        values: [&'static str; N],
    ) -> [M; N]
    where
        Family<Label, M>: Metric,
    {
        let family = self.one(name, help, Family::<Label, M>::default());
        values.map(|value| family.get_or_create_owned(&[(label, value)]))
    }
}

impl LogMetrics {
    fn new(names: &mut Names<'_>) -> Self {
        Self {
            applied: names.counter("raft_entries_applied", "Entries applied to the state"),
            proposed: names.counter("raft_entries_proposed", "Entries proposed by this server"),
            disk_writes: names.counter("disk_writes", "Writes to the disk"),
            disk_syncs: names.counter("disk_syncs", "Writes waited for until they were safe"),
            leader: names.gauge("leader", "1 where this server leads"),
            term: names.gauge("term", "Raft's term"),
            false_failovers: names.counter(
                "false_failovers",
                "Leases of this server that ran out without its having been away",
            ),
        }
    }
}

impl SessionMetrics {
    fn new(names: &mut Names<'_>) -> Self {
        let sessions = ("sessions", "Sessions by what became of them");
        let [live, dead, blocked] = names.each(sessions, "state", ["live", "dead", "blocked"]);
        Self {
            live,
            dead,
            blocked,
            evictions: names.counter("evictions", "Sessions ended because of what they did"),
        }
    }
}

impl SlotMetrics {
    fn new(names: &mut Names<'_>) -> Self {
        let phases = ["recovering", "arriving", "serving", "leaving", "broken"];
        let slots = ("slots", "Slots of which this server is master, by phase");
        let [recovering, arriving, serving, leaving, broken] = names.each(slots, "phase", phases);
        Self {
            recovering,
            arriving,
            serving,
            leaving,
            broken,
            recoveries: names.seconds(
                "recovery",
                "How long slots waited for what clients claim",
                &RECOVERY_SECONDS,
            ),
            moves: names.counter("moves", "Slots that came here with their table"),
        }
    }
}

impl FrameMetrics {
    fn new(names: &mut Names<'_>) -> Self {
        let frames = ("frames", "Frames of clients' streams");
        let [received, sent] = names.each(frames, "direction", ["in", "out"]);
        Self { received, sent }
    }
}

impl HttpMetrics {
    fn new(names: &mut Names<'_>) -> Self {
        Self {
            listeners: names.gauge("http_listeners", "Pages kept up to date"),
            dropped: names.counter(
                "http_listeners_dropped",
                "Pages dropped because they did not read",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_the_same() {
        let metrics = Metrics::new();
        metrics.clone().slots.serving.set(85);
        metrics.slots.recoveries.observe(0.07);
        let text = metrics.text();
        assert!(
            text.contains("glockwork_slots{phase=\"serving\"} 85\n"),
            "{text}"
        );
        assert!(
            text.contains("glockwork_recovery_seconds_count 1\n"),
            "{text}"
        );
    }
}
