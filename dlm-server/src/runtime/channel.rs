//! How this server connects to others.

use std::time::Duration;

use dlm_core::cluster::Endpoint;
use tonic::transport::{Channel, Endpoint as Target};

use crate::tls::{self, Tls};

/// How long a connection may take to be made and greeted.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(1);

/// How often a connection is probed, and how long the answer may take. A network that was cut and is whole
/// again carries a new connection at once; one that was made before waits for TCP to send again, which it
/// does after pauses that grow with the cut.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const PROBE_WAIT_MAX: Duration = Duration::from_millis(1000);

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channels {
    /// Where servers speak TLS: whom to trust and what to show.
    pub(crate) tls: Option<Tls>,
}

impl Channels {
    /// Connects to another server.
    ///
    /// # Errors
    /// Why it is not reached, in words.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        let target = self.target(endpoint)?;
        target.connect().await.map_err(|error| reason(&error))
    }

    /// A channel that connects when it is used.
    ///
    /// # Errors
    /// Where the address is none.
    pub(crate) fn lazy(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        Ok(self.target(endpoint)?.connect_lazy())
    }

    fn target(&self, endpoint: &Endpoint) -> Result<Target, String> {
        let target = tls::to_server(endpoint, self.tls.as_ref()).map_err(|error| reason(&error))?;
        Ok(target
            .connect_timeout(CONNECT_WAIT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_WAIT_MAX)
            .keep_alive_while_idle(true))
    }
}

/// The innermost reason is the one that says something.
fn reason(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
