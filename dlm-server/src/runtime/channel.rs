//! How this server connects to others.

use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use tonic::transport::{Channel, Endpoint as Target};

use crate::gate::Gates;
use crate::tls::{self, Tls};

/// How long a connection may take to be made and greeted.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(1);

/// How often a connection is probed, and how long the answer may take. A network that was cut and is whole
/// again carries a new connection at once; one that was made before waits for TCP to send again, which it
/// does after pauses that grow with the cut.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const PROBE_WAIT_MAX: Duration = Duration::from_millis(1000);

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    /// Where servers speak TLS: whom to trust and what to show.
    pub(crate) tls: Option<Tls>,
    /// The faults that stand in them.
    pub(crate) gates: Gates,
}

impl Channels {
    /// Connects to whatever server is there.
    ///
    /// # Errors
    /// Why it is not reached, in words.
    pub(crate) async fn connect_to_any(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        let target = self.target(endpoint)?;
        target.connect().await.map_err(|error| reason(&error))
    }

    /// Connects to a server.
    ///
    /// # Errors
    /// Why it is not reached, in words.
    pub(crate) async fn connect(
        &self,
        to: ServerId,
        endpoint: &Endpoint,
    ) -> Result<Channel, String> {
        let target = self.target(endpoint)?;
        let connector = self.gates.connector(to);
        let connected = target.connect_with_connector(connector).await;
        connected.map_err(|error| reason(&error))
    }

    /// A channel to a server that connects when it is used.
    ///
    /// # Errors
    /// Where the address is none.
    pub(crate) fn lazy(&self, to: ServerId, endpoint: &Endpoint) -> Result<Channel, String> {
        let connector = self.gates.connector(to);
        let target = self.target(endpoint)?;
        Ok(target.connect_with_connector_lazy(connector))
    }

    /// How a server is connected to.
    ///
    /// # Errors
    /// Where the address is none.
    pub(crate) fn target(&self, endpoint: &Endpoint) -> Result<Target, String> {
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
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
