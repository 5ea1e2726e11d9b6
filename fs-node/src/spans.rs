//! Where the program's spans go: a page fault's and what follows from it, exported by OTLP where that is asked for.
//! How many are recorded is said by OpenTelemetry's own variables (`OTEL_TRACES_SAMPLER`).

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Runtime;

/// How long a collector may take for a batch, and for what is left at the end.
const EXPORT_WAIT_MAX: Duration = Duration::from_secs(2);

/// What exports them. What is left goes out when it is dropped.
pub(crate) struct Export {
    provider: SdkTracerProvider,
    /// The connection lives here.
    _runtime: Runtime,
}

impl Export {
    /// To this collector, which need not be there yet, as the node of this name.
    pub(crate) fn new(endpoint: &str, node: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("spans")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_WAIT_MAX)
            .build()
            .with_context(|| format!("{endpoint} is no collector; write http://HOST:PORT"))?;
        drop(entered);
        let ours = Resource::builder()
            .with_service_name("fs-node")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("glockwork.node", node.to_owned()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(ours)
            .build();
        Ok(Self {
            provider,
            _runtime: runtime,
        })
    }

    /// What makes spans that it exports.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("glockwork")
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT_WAIT_MAX) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
