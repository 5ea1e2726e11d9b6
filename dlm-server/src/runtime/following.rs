//! What the journal says of locks becomes numbers, lines of the log, and ends of spans.
//!
//! The loop comes here after every step. Where nobody logs and nothing is traced it is a few additions for each
//! event.

use dlm_core::link::RequestId;
use dlm_core::{LockspaceId, SessionId};
use glockwork_proto::events::EventKind;
use opentelemetry::KeyValue;
use tracing::{Level, debug, enabled};

use super::spans::Spans;
use crate::journal::Entry;
use crate::metrics::{LockMetrics, denial};
use crate::node::Node;
use crate::view;

/// What the lines of the log come from, for those who want them and not the rest.
const TARGET: &str = "dlm_server::locks";

/// How far the journal was read.
#[derive(Debug)]
pub(super) struct Following {
    next: u64,
    metrics: LockMetrics,
}

impl Following {
    pub(super) fn new(metrics: LockMetrics) -> Self {
        Self { next: 1, metrics }
    }

    /// Reads on. What was overwritten meanwhile, in a step that was about very many locks, is not counted.
    pub(super) fn follow(&mut self, node: &Node, spans: &mut Spans) {
        let journal = node.journal();
        if journal.next() == self.next {
            return;
        }
        let is_logged = enabled!(target: TARGET, Level::DEBUG);
        for entry in journal.since(self.next) {
            self.count(entry);
            if is_logged && !entry.kind.is_of_slot() {
                log(node, entry);
            }
            if spans.are_open() {
                tell(node, entry, spans);
            }
        }
        self.next = journal.next();
    }

    fn count(&self, entry: &Entry) {
        match entry.kind {
            EventKind::Callback => {
                self.metrics.callbacks.inc();
            }
            EventKind::Denied => {
                if let Some(status) = entry.status {
                    self.metrics.denials.inc(denial(status));
                }
            }
            EventKind::Granted | EventKind::Converted | EventKind::Demoted => {
                if let Some(waited_us) = entry.waited_us {
                    self.metrics.waits.observe(waited_us as f64 / 1e6);
                }
            }
            EventKind::Waits
            | EventKind::Released
            | EventKind::Cancelled
            | EventKind::Recovered
            | EventKind::Moved => {}
        }
    }
}

/// A line with everything by which one looks for lines.
fn log(node: &Node, entry: &Entry) {
    let request = entry.op.map(|op| RequestId {
        session: entry.session,
        op,
    });
    debug!(
        target: TARGET,
        lockspace = lockspace(node, entry.lockspace),
        resource = %entry.name,
        node = session(node, entry.session),
        session = entry.session.0,
        lock = entry.lock.0,
        mode = entry.mode.map(|mode| mode.name()),
        token = (entry.token.0 != 0).then_some(entry.token.0),
        request = request.map(tracing::field::display),
        waited_us = entry.waited_us,
        reason = entry.status.map(denial),
        wanted_by = entry.by.map(|by| session(node, by)),
        "{}",
        entry.kind.name(),
    );
}

fn tell(node: &Node, entry: &Entry, spans: &mut Spans) {
    let Some(op) = entry.op else { return };
    let failed = match entry.kind {
        EventKind::Waits => return spans.waits(entry.session, op),
        EventKind::Denied => Some(entry.status.map_or("denied", denial).to_owned()),
        EventKind::Cancelled => Some("cancelled".to_owned()),
        _ => None,
    };
    let of = (entry.session, op);
    spans.end(of, failed, || attributes(node, entry));
}

fn attributes(node: &Node, entry: &Entry) -> Vec<KeyValue> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("glockwork.lockspace", lockspace(node, entry.lockspace)),
        KeyValue::new("glockwork.resource", entry.name.to_string()),
        KeyValue::new("glockwork.node", session(node, entry.session)),
        KeyValue::new("glockwork.session", number(entry.session.0)),
        KeyValue::new("glockwork.token", number(entry.token.0)),
        KeyValue::new("glockwork.slot", i64::from(entry.slot.number())),
    ];
    if let Some(mode) = entry.mode {
        attributes.push(KeyValue::new("glockwork.mode", mode.name()));
    }
    attributes
}

fn session(node: &Node, session: SessionId) -> String {
    view::journal::session_name(node, session)
}

fn lockspace(node: &Node, lockspace: LockspaceId) -> String {
    view::journal::lockspace_name(node, lockspace)
}
