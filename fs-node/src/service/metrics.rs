//! What the node counts, for Prometheus; docs/operations.md has a line for each.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_node::Node;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// What all names begin with.
const PREFIX: &str = "glockwork_node";

/// The numbers. A clone has the same ones.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// Those of a node, as they are whenever somebody asks.
    pub(super) fn of(node: Node) -> Self {
        let mut registry = Registry::default();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = since_epoch.unwrap_or_default().as_secs_f64();
        registry.register_collector(Box::new(Started(started)));
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "The program", version);
        ours.register_collector(Box::new(Counted(node)));
        Self {
            registry: Arc::new(registry),
        }
    }

    /// The numbers as they are now, as OpenMetrics' text has them.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes all that is written to it");
        text
    }
}

#[derive(Debug)]
struct Started(f64);

impl Collector for Started {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metric = ConstGauge::new(self.0);
        let help = "When the process began, in seconds since 1970";
        let unit = Unit::Seconds;
        let to = to.encode_descriptor(
            "process_start_time",
            help,
            Some(&unit),
            metric.metric_type(),
        )?;
        metric.encode(to)
    }
}

struct Counted(Node);

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl Collector for Counted {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (node, glocks) = (self.0.counters(), self.0.glock_counters());
        for (name, help, count) in [
            (
                "lock_messages",
                "Lock operations sent and callbacks received",
                node.lock_messages,
            ),
            ("page_faults", "Page faults served", node.faults),
            ("page_fills", "Pages read from the volume", node.page_fills),
            (
                "page_write_backs",
                "Pages written back to it",
                node.page_write_backs,
            ),
            (
                "invalidations",
                "Inodes dropped from the cache because their glock went",
                node.invalidations,
            ),
            ("io_errors", "Write-backs that failed", node.io_errors),
            ("glock_requests", "Glocks that tasks got", glocks.granted),
            (
                "glock_hits",
                "Those of them that were granted without a message",
                glocks.cached,
            ),
            (
                "glock_waits",
                "Requests for glocks that had to wait",
                glocks.waits,
            ),
            (
                "glock_trylocks_failed",
                "Requests that were not to wait, and got nothing",
                glocks.try_failed,
            ),
            (
                "glock_demotions",
                "Glocks that were given up or weakened",
                glocks.demotions,
            ),
        ] {
            let metric = ConstCounter::new(count);
            metric.encode(to.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let left = self.0.lease().map_or(Duration::ZERO, |lease| lease.left());
        let metric = ConstGauge::new(left.as_secs_f64());
        let help = "What is left of the session's lease by the node's own clock; 0: it is over";
        let unit = Unit::Seconds;
        metric.encode(to.encode_descriptor(
            "lease_left",
            help,
            Some(&unit),
            metric.metric_type(),
        )?)
    }
}
