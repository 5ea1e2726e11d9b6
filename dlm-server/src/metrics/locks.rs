//! What is counted of operations on locks.

use dlm_core::Status;
/// What a denial is called in logs and as a metric's label.
pub use glockwork_views::events::denial;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::{Label, Names};

/// How long a grant is taken to be waited for: from what a callback costs, over a page that is written back, to
/// what only a person explains.
const WAIT_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Of operations on locks, at this server's slots.
#[derive(Clone, Debug)]
pub struct LockMetrics {
    /// Requests for new locks.
    pub requests: Counter,
    /// Conversions.
    pub conversions: Counter,
    /// Unlocks.
    pub unlocks: Counter,
    /// Cancellations.
    pub cancellations: Counter,
    /// Operations on all locks of an owner or a lockspace.
    pub everywhere: Counter,
    /// Grants of requests and conversions.
    pub grants: Counter,
    /// How long those had waited that were not granted at once, in seconds; and so how many there were.
    pub waits: Histogram,
    /// Requests and conversions that got nothing.
    pub denials: Denials,
    /// Blocking callbacks, by which holders are told that somebody wants what they hold.
    pub callbacks: Counter,
    /// Requests and conversions that wait now.
    pub waiting: Gauge,
}

impl LockMetrics {
    pub(super) fn new(names: &mut Names<'_>) -> Self {
        let kinds = ["request", "convert", "unlock", "cancel", "everywhere"];
        let operations = ("lock_operations", "Operations on locks");
        let [requests, conversions, unlocks, cancellations, everywhere] =
            names.each(operations, "kind", kinds);
        Self {
            requests,
            conversions,
            unlocks,
            cancellations,
            everywhere,
            grants: names.counter("grants", "Requests and conversions granted"),
            waits: names.seconds(
                "grant_wait",
                "How long requests and conversions had waited that were granted after a wait",
                &WAIT_SECONDS,
            ),
            denials: Denials::new(names),
            callbacks: names.counter(
                "blocking_callbacks",
                "Holders told that somebody wants what they hold",
            ),
            waiting: names.gauge("waiting", "Requests and conversions that wait now"),
        }
    }
}

/// Of requests and conversions that got nothing, each by its reason.
#[derive(Clone, Debug)]
pub struct Denials(Family<Label, Counter>);

impl Denials {
    /// Those that are nobody's fault are there from the beginning.
    fn new(names: &mut Names<'_>) -> Self {
        let help = "Requests and conversions that got nothing";
        let denials = Self(names.one("denials", help, Family::default()));
        for status in [Status::TryFailed, Status::Deadlock] {
            drop(denials.0.get_or_create(&[("reason", denial(status))]));
        }
        denials
    }

    /// One more, for this reason: [`denial`] has them.
    pub fn inc(&self, reason: &'static str) {
        self.0.get_or_create(&[("reason", reason)]).inc();
    }
}
