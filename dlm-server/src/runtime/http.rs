//! The HTTP ports of a running server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use crate::error::ServeError;
use crate::rpc::Reach;
use crate::settings::{Key, Settings};
use crate::web::{self, Site};

/// Serves what is looked at with a browser or by Prometheus, until it is dropped. Says where the page is.
pub(super) async fn serve(
    settings: &Settings,
    reach: &Arc<Reach>,
) -> Result<(Option<SocketAddr>, JoinSet<()>), ServeError> {
    let metrics = || reach.metrics.clone();
    let whole = Site::whole(Arc::clone(reach), metrics());
    let ports = [
        (Key::HttpListen, settings.http_listen, whole),
        (
            Key::MetricsListen,
            settings.metrics_listen,
            Site::Metrics(Arc::new(metrics())),
        ),
    ];
    let (mut page, mut serving) = (None, JoinSet::new());
    for (setting, addr, site) in ports {
        let Some(addr) = addr else { continue };
        let failed = |source| ServeError::Http {
            setting,
            addr,
            source,
        };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        if setting == Key::HttpListen {
            page = Some(at);
            info!("the page is at http://{at}/");
        }
        info!("metrics are at http://{at}/metrics");
        serving.spawn(web::serve(listener, site));
    }
    Ok((page, serving))
}
