//! Which operations belong to a trace that somebody records.
//!
//! Where the program has a `tracing` subscriber with OpenTelemetry's layer, and a span that is sampled is entered
//! when a lock is asked for, the server is told of it, and its span of the grant becomes that one's child. Where
//! there is no such span, which is the rule, this costs a look at the current span and at a number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlm_core::link::{OperationKind, ToServer};
use dlm_core::{LockId, OpId};
use glockwork_proto::trace::TraceContext;
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::limits::TRACES_MAX;

/// The span that is entered, if it is recorded.
pub(crate) fn current() -> Option<TraceContext> {
    let span = Span::current();
    if span.is_none() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    if !span.is_sampled() {
        return None;
    }
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    TraceContext::new(trace, u64::from_be_bytes(span.span_id().to_bytes()))
}

/// The traces of what is under way.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// How many there are, for those who only want to know whether there are any.
    count: AtomicUsize,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    /// Of operations that the driver has not taken yet. A lock has one at a time.
    asked: BTreeMap<LockId, TraceContext>,
    /// Of operations that are not answered yet.
    begun: BTreeMap<OpId, TraceContext>,
}

impl Traces {
    /// A request or a conversion is asked for. Of more than [`TRACES_MAX`] the oldest is not traced further.
    pub(crate) fn asked(&self, kind: &OperationKind, trace: TraceContext) {
        let is_lasting = matches!(
            kind,
            OperationKind::Request { .. } | OperationKind::Convert { .. }
        );
        if is_lasting {
            let mut all = self.all();
            all.asked.insert(kind.lock(), trace);
            if all.asked.len() > TRACES_MAX {
                all.asked.pop_first();
            }
            self.recount(&all);
        }
    }

    /// The driver takes it; it will be sent under this number.
    pub(crate) fn begins(&self, lock: LockId, op: OpId) {
        if self.are_none() {
            return;
        }
        let mut all = self.all();
        if let Some(trace) = all.asked.remove(&lock) {
            all.begun.insert(op, trace);
            if all.begun.len() > TRACES_MAX {
                all.begun.pop_first();
            }
        }
        self.recount(&all);
    }

    /// It is answered, or was never sent.
    pub(crate) fn ends(&self, op: OpId) {
        if self.are_none() {
            return;
        }
        let mut all = self.all();
        all.begun.remove(&op);
        self.recount(&all);
    }

    /// Those of messages that are sent.
    pub(crate) fn of(&self, messages: &[ToServer]) -> Vec<(OpId, TraceContext)> {
        if self.are_none() {
            return Vec::new();
        }
        let all = self.all();
        let ops = messages.iter().filter_map(ToServer::op);
        ops.filter_map(|op| Some((op, *all.begun.get(&op)?)))
            .collect()
    }

    fn are_none(&self) -> bool {
        // Who asks and who takes are ordered by the queue between them.
        self.count.load(Ordering::Relaxed) == 0
    }

    fn recount(&self, all: &All) {
        let count = all.asked.len() + all.begun.len();
        self.count.store(count, Ordering::Relaxed);
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // Inserting and removing leave it whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::{Epoch, Mode, Owner, RequestFlags, SlotId};

    use super::*;

    fn convert(lock: u64) -> OperationKind {
        OperationKind::Convert {
            lock: LockId(lock),
            mode: Mode::Ex,
            flags: RequestFlags::empty(),
            owner: Owner(0),
            value: None,
        }
    }

    fn sent(op: u64) -> ToServer {
        ToServer::Operation {
            number: op,
            op: OpId(op),
            slot: SlotId::new(0).expect("a slot"),
            epoch: Epoch(1),
            kind: convert(op),
        }
    }

    #[test]
    fn a_trace_goes_with_its_operation_until_that_is_answered() {
        let traces = Traces::default();
        let trace = TraceContext::new(7, 9).expect("a trace");
        assert!(traces.are_none());
        traces.asked(&convert(1), trace);
        traces.asked(&OperationKind::Cancel { lock: LockId(2) }, trace);
        traces.begins(LockId(1), OpId(5));
        traces.begins(LockId(2), OpId(6));
        let messages = [sent(4), sent(5), sent(6)];
        assert_eq!(traces.of(&messages), [(OpId(5), trace)]);
        assert_eq!(traces.of(&messages), [(OpId(5), trace)], "it is sent again");
        traces.ends(OpId(5));
        assert!(traces.are_none());
    }

    #[test]
    fn there_are_so_many_at_most() {
        let traces = Traces::default();
        let trace = TraceContext::new(7, 9).expect("a trace");
        for lock in 0..=TRACES_MAX as u64 {
            traces.asked(&convert(lock), trace);
            traces.begins(LockId(lock), OpId(lock));
        }
        assert_eq!(traces.all().begun.len(), TRACES_MAX);
        assert_eq!(traces.of(&[sent(0)]), []);
    }

    #[test]
    fn nobody_who_records_nothing_pays() {
        assert_eq!(current(), None);
    }
}
