//! A collector of spans, as OpenTelemetry's, that remembers what it was sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A collector on a free port. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    addr: SocketAddr,
    spans: Spans,
    task: AbortHandle,
}

/// All spans, each with the name of the service that it is of.
type Spans = Arc<Mutex<Vec<(String, Span)>>>;

struct Service(Spans);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut all = locked(&self.0);
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            let service = text(&resource.attributes, "service.name");
            for scope in of_resource.scope_spans {
                let spans = scope.spans.into_iter();
                all.extend(spans.map(|span| (service.clone(), span)));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn locked(spans: &Spans) -> MutexGuard<'_, Vec<(String, Span)>> {
    // What is there is whole.
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let spans = Spans::default();
        let service = TraceServiceServer::new(Service(Arc::clone(&spans)));
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(serving).abort_handle();
        Self { addr, spans, task }
    }

    /// Where it is, as programs are told.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans of this service and name that are below one of another service and name, each with all between
    /// them, the lowest first.
    #[must_use]
    pub fn below(&self, lowest: (&str, &str), highest: (&str, &str)) -> Vec<Vec<Span>> {
        let all = locked(&self.spans);
        let by_number: HashMap<&[u8], &(String, Span)> =
            all.iter().map(|one| (&one.1.span_id[..], one)).collect();
        let is = |one: &(String, Span), (service, name): (&str, &str)| {
            one.0 == service && one.1.name == name
        };
        let way = |one: &(String, Span)| {
            let mut way = vec![one.1.clone()];
            let mut at = one;
            while !is(at, highest) {
                at = by_number.get(&at.1.parent_span_id[..])?;
                way.push(at.1.clone());
            }
            Some(way)
        };
        let lowest = all.iter().filter(|one| is(one, lowest));
        lowest.filter_map(way).collect()
    }

    /// How many spans of each service and name there are; for whoever wonders why one is missing.
    #[must_use]
    pub fn counts(&self) -> HashMap<(String, String), usize> {
        let mut counts = HashMap::new();
        for (service, span) in locked(&self.spans).iter() {
            let name = (service.clone(), span.name.clone());
            *counts.entry(name).or_default() += 1;
        }
        counts
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An attribute that is a text; empty where there is none.
#[must_use]
pub fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|one| one.key == name);
    match found.and_then(|one| one.value.as_ref()) {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => text.clone(),
        _ => String::new(),
    }
}
