//! Spans of operations whose clients record a trace: from the request to its grant or denial, each a child of the
//! client's. They are exported by OTLP where that is configured; otherwise nothing is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use dlm_core::link::{Event, RequestId};
use dlm_core::{OpId, SessionId, Status};
use glockwork_proto::trace::TraceContext;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceContextExt, TraceFlags,
    TraceId, TraceState, Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::settings::Settings;

/// The most that are open at once: operations that wait, of clients that record them. Of more the oldest are ended
/// as if they were answered.
const OPEN_MAX: usize = 4096;

/// How long the collector may take for what is left when the server stops.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long it may take for a batch while the server runs.
const EXPORT_WAIT_MAX: Duration = Duration::from_secs(5);

/// What is exported, and where to.
#[derive(Debug)]
pub(super) struct Export(SdkTracerProvider);

impl Export {
    /// To the collector in the settings, if there is one. It need not be there yet.
    ///
    /// # Errors
    /// Where the endpoint is none.
    pub(super) fn new(settings: &Settings) -> Result<Option<Self>, ExporterBuildError> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_WAIT_MAX)
            .build()?;
        let server = i64::try_from(settings.server.0).unwrap_or(i64::MAX);
        let ours = Resource::builder()
            .with_service_name("dlm-server")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("glockwork.server", server),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(ours)
            .build();
        Ok(Some(Self(provider)))
    }

    pub(super) fn spans(&self) -> Spans {
        Spans {
            tracer: Some(self.0.tracer("glockwork")),
            open: BTreeMap::new(),
        }
    }

    /// Sends what is left.
    pub(super) async fn end(self) {
        // It waits for its own thread, which needs this one to get anything sent.
        let ended = spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_WAIT_MAX));
        if let Ok(Err(error)) = ended.await {
            warn!(%error, "the last spans were not exported");
        }
    }
}

/// The spans that are open.
#[derive(Debug, Default)]
pub(super) struct Spans {
    tracer: Option<SdkTracer>,
    open: BTreeMap<(SessionId, OpId), Span>,
}

impl Spans {
    /// Operations were taken from a session's stream, with the traces of some of them.
    pub(super) fn begin(&mut self, session: Option<SessionId>, traces: &[(OpId, TraceContext)]) {
        let (Some(tracer), Some(session)) = (&self.tracer, session) else {
            return;
        };
        for &(op, trace) in traces {
            // One that is sent again goes on.
            if self.open.contains_key(&(session, op)) {
                continue;
            }
            let span = tracer
                .span_builder("grant")
                .with_kind(SpanKind::Server)
                .start_with_context(tracer, &parent(trace));
            self.open.insert((session, op), span);
            if self.open.len() > OPEN_MAX {
                self.open.pop_first();
            }
        }
    }

    /// Whether anybody wants to know how an operation ended.
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// An operation has to wait.
    pub(super) fn waits(&mut self, session: SessionId, op: OpId) {
        if let Some(span) = self.open.get_mut(&(session, op)) {
            span.add_event("waits", Vec::new());
        }
    }

    /// An operation was answered whose answer no lock table gave: it could not be read, or is another server's.
    pub(super) fn answered(&mut self, request: RequestId, event: &Event) {
        if self.open.is_empty() {
            return;
        }
        let failed = match event {
            Event::Done(done) => match done.status {
                Status::Refused(refusal) => refusal.to_string(),
                _ => return,
            },
            Event::NotMaster { .. } => "this server is not the slot's master".into(),
            _ => return,
        };
        self.end((request.session, request.op), Some(failed), Vec::new);
    }

    /// Ends what is open of sessions that are no more.
    pub(super) fn retain(&mut self, is_there: impl Fn(SessionId) -> bool) {
        if !self.open.is_empty() {
            self.open.retain(|(session, _), _| is_there(*session));
        }
    }

    /// An operation is answered; `failed` says why it got nothing.
    pub(super) fn end(
        &mut self,
        (session, op): (SessionId, OpId),
        failed: Option<String>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) {
        let Some(mut span) = self.open.remove(&(session, op)) else {
            return;
        };
        span.set_attributes(attributes());
        span.set_status(match failed {
            Some(why) => SpanStatus::error(why),
            None => SpanStatus::Ok,
        });
        span.end();
    }
}

/// The client's span.
fn parent(trace: TraceContext) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(trace.trace.to_be_bytes()),
        SpanId::from_bytes(trace.span.to_be_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use dlm_core::{Epoch, SlotId};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanExporter as Exporter};

    use super::*;

    /// Remembers what is exported.
    #[derive(Clone, Debug, Default)]
    struct Memory(Arc<Mutex<Vec<SpanData>>>);

    impl Exporter for Memory {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn spans() -> (Spans, Memory) {
        let memory = Memory::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(memory.clone())
            .build();
        (Export(provider).spans(), memory)
    }

    const OF: SessionId = SessionId(3);

    fn trace(number: u64) -> (OpId, TraceContext) {
        let trace = TraceContext::new(77, number).expect("a trace");
        (OpId(number), trace)
    }

    #[test]
    fn a_grant_is_the_clients_spans_child_however_often_it_is_sent() {
        let (mut spans, memory) = spans();
        spans.begin(Some(OF), &[trace(5)]);
        spans.begin(Some(OF), &[trace(5)]);
        spans.waits(OF, OpId(5));
        spans.end((OF, OpId(5)), None, Vec::new);
        spans.end((OF, OpId(5)), None, Vec::new);
        let all = memory.0.lock().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            all[0].parent_span_id,
            SpanId::from_bytes(5_u64.to_be_bytes())
        );
        let trace = all[0].span_context.trace_id();
        assert_eq!(trace, TraceId::from_bytes(77_u128.to_be_bytes()));
        assert_eq!(all[0].events.len(), 1);
    }

    #[test]
    fn what_is_never_granted_ends_too() {
        let (mut spans, memory) = spans();
        spans.begin(Some(OF), &[trace(1), trace(2), trace(3)]);
        let slot = SlotId::new(0).expect("a slot");
        let (op, epoch) = (Some(OpId(1)), Epoch(2));
        let elsewhere = Event::NotMaster { op, slot, epoch };
        let request = RequestId {
            session: OF,
            op: OpId(1),
        };
        spans.answered(request, &elsewhere);
        spans.retain(|session| session == OF);
        assert_eq!(memory.0.lock().unwrap().len(), 1);
        spans.retain(|_| false);
        assert_eq!(memory.0.lock().unwrap().len(), 3);
        assert!(!spans.are_open());
        for number in 1..=OPEN_MAX as u64 + 7 {
            spans.begin(Some(OF), &[trace(number)]);
        }
        assert_eq!(spans.open.len(), OPEN_MAX);
    }

    #[test]
    fn without_a_collector_nothing_is_kept() {
        let mut spans = Spans::default();
        spans.begin(Some(OF), &[trace(1)]);
        assert!(!spans.are_open());
    }
}
