//! Answers whoever asks for the metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Metrics;

/// The most connections at once; Prometheus has one, and perhaps a second server of it.
const CONNECTIONS_MAX: usize = 16;

/// How long one may last: it asks once, and the answer is a few kilobytes.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long nothing is accepted after the system refused, for want of open files for example.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// OpenMetrics' text. Prometheus takes it as well as its own.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `GET /metrics`, until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Metrics) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("nobody closes it");
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    let _place = place;
                    // One that takes too long is dropped.
                    let _ = timeout(CONNECTION_WAIT_MAX, connection(stream, metrics)).await;
                });
            }
            Err(error) => {
                debug!(%error, "a connection for metrics was not accepted");
                sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, metrics: Metrics) {
    let service = service_fn(move |request| {
        let answer = answer(&request, &metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "a connection for metrics broke");
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let plain = |status, text: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = "GET, HEAD".parse().expect("a header's value");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let mut response = Response::new(Full::from(metrics.text()));
    let kind = TEXT.parse().expect("a header's value");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let metrics = Metrics::new();
        metrics.locks.requests.inc_by(3);
        let server = tokio::spawn(serve(listener, metrics));
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        server.abort();
        text
    }

    #[tokio::test]
    async fn they_are_served() {
        let text = ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        assert!(text.contains(TEXT), "{text}");
        let line = "\nglockwork_lock_operations_total{kind=\"request\"} 3\n";
        assert!(text.contains(line), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn nothing_else_is() {
        let text = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 404"), "{text}");
        let text = ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        assert!(
            text.starts_with("HTTP/1.1 405") && text.contains("GET, HEAD"),
            "{text}"
        );
        let text = ask("nonsense\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    }
}
