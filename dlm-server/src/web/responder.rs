//! Connections to the HTTP port: how many there are at once, and for how long.
//!
//! One asks once and is over within [`CONNECTION_WAIT_MAX`], whatever it does, but for those that listen to
//! events: of them there are fewer than connections, and one that does not read is dropped.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::live::LISTENERS_MAX;
use super::{Site, live, routes};
use crate::inspect::Look;

/// The most connections at once: those that listen, and as many for the rest. A browser opens six at most, and
/// Prometheus one.
const CONNECTIONS_MAX: usize = 2 * LISTENERS_MAX;

/// How long one may last that does not listen: the slowest answer is a graph that a server is missing from.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);

/// The most bytes of a request. The longest path is one with a resource's name in it.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// The most headers of a request; a browser sends about fifteen.
const HEADERS_MAX: usize = 64;

/// How long nothing is accepted after the system refused, for want of open files for example.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// One connection, as those who answer it see it.
#[derive(Debug, Default)]
pub(super) struct Visit {
    listens: AtomicBool,
    dropped: Notify,
}

impl Visit {
    /// It stays open.
    pub(super) fn listens(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    /// It is closed, with what it has not read.
    pub(super) fn drop_it(&self) {
        self.dropped.notify_one();
    }

    /// Waits until it is to be closed.
    async fn over(&self) {
        let dropped = timeout(CONNECTION_WAIT_MAX, self.dropped.notified()).await;
        if dropped.is_err() && self.listens.load(Ordering::Relaxed) {
            self.dropped.notified().await;
        }
    }
}

/// Answers whoever asks, until it is dropped.
pub async fn serve<L: Look>(listener: TcpListener, site: Site<L>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let answering = async {
        // They end with it.
        let mut visitors = JoinSet::new();
        loop {
            while visitors.try_join_next().is_some() {}
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.expect("nobody closes it");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let site = site.clone();
                    visitors.spawn(async move {
                        let _place = place;
                        connection(stream, site).await;
                    });
                }
                Err(error) => {
                    debug!(%error, "a connection to the HTTP port was not accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    };
    match &site {
        Site::Metrics(_) => answering.await,
        Site::Whole(whole) => tokio::select! {
            () = answering => {}
            () = live::tell(whole) => {}
        },
    }
}

async fn connection<L: Look>(stream: TcpStream, site: Site<L>) {
    let visit = Arc::new(Visit::default());
    let service = service_fn(|request| {
        let (site, visit) = (site.clone(), Arc::clone(&visit));
        async move { Ok::<_, Infallible>(routes::answer(&request, &site, &visit).await) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_headers(HEADERS_MAX)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                debug!(%error, "a connection to the HTTP port broke");
            }
        }
        () = visit.over() => {}
    }
}
