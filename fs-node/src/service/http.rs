//! The node's HTTP port: metrics, and whether it is well. Plain HTTP, for looking only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fs_node::Node;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::metrics::Metrics;

/// The most connections at once; Prometheus has one.
const CONNECTIONS_MAX: usize = 32;
/// How long one may last, whatever it does.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);
/// The most bytes of a request, and its headers.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// How long nothing is accepted after the system refused, for want of open files for example.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// As OpenMetrics has it.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// A port that answers when it is served.
pub(super) struct Http {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Http {
    /// # Errors
    /// The operating system's, one line.
    pub(super) async fn bind(addr: SocketAddr) -> anyhow::Result<Self> {
        let cannot =
            |error| anyhow::anyhow!("cannot listen on {addr}: {error}; give another --http-listen");
        let listener = TcpListener::bind(addr).await.map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        Ok(Self { listener, addr })
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers whoever asks, until it is dropped.
    pub(super) async fn serve(self, node: Node) -> Infallible {
        let metrics = Metrics::of(node.clone());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.expect("nobody closes it");
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (node, metrics) = (node.clone(), metrics.clone());
                    tokio::spawn(async move {
                        let _place = place;
                        // Whoever is slower than that is closed.
                        let _ =
                            timeout(CONNECTION_WAIT_MAX, connection(stream, node, metrics)).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection to the HTTP port was not accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, node: Node, metrics: Metrics) {
    let service = service_fn(|request| {
        let answered = answer(&request, &node, &metrics);
        async { Ok::<_, Infallible>(answered) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the HTTP port broke");
    }
}

fn answer(request: &Request<Incoming>, node: &Node, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            (StatusCode::OK, METRICS_TYPE, metrics.text())
        }
        (&Method::GET | &Method::HEAD, "/health") => match node.lease() {
            Ok(_) => (StatusCode::OK, TEXT_TYPE, "well\n".into()),
            Err(lost) => (
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT_TYPE,
                format!("{lost}\n"),
            ),
        },
        (&Method::GET | &Method::HEAD, _) => {
            let there = "there are /metrics and /health\n";
            (StatusCode::NOT_FOUND, TEXT_TYPE, there.into())
        }
        _ => {
            let there = "nothing can be changed here\n";
            (StatusCode::METHOD_NOT_ALLOWED, TEXT_TYPE, there.into())
        }
    };
    let mut answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store");
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer = answer.header(ALLOW, "GET, HEAD");
    }
    let body = Full::new(Bytes::from(text));
    answer.body(body).expect("all of it is ours")
}
