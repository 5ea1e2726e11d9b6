//! Connections that are dialled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use dlm_core::ServerId;
use glockwork_proto::fault::Member;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::codegen::Service;
use tonic::transport::Uri;

use super::{Gated, Gates};

/// Dials another server, for tonic's `Endpoint::connect_with_connector`, with TLS or without. While the link
/// is cut a dial waits, as it does where packets are lost: give the endpoint a `connect_timeout`.
#[derive(Clone, Debug)]
pub struct Connector {
    gates: Gates,
    to: ServerId,
}

impl Gates {
    /// Dials server `to`, wherever the endpoint says that it is.
    #[must_use]
    pub fn connector(&self, to: ServerId) -> Connector {
        let gates = self.clone();
        Connector { gates, to }
    }
}

impl Connector {
    /// Dials `address`, a host and a port.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn dial(self, host: &str, port: u16) -> io::Result<Gated<TcpStream>> {
        let link = self.gates.link(Some(Member::Server(self.to)));
        if let Some(link) = &link {
            link.until(|link| link.connects()).await;
        }
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        let remote = socket.peer_addr().ok();
        Ok(Gated::new(socket, link, remote))
    }
}

type Dialled = io::Result<TokioIo<Gated<TcpStream>>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Gated<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Dialled> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            // An IPv6 address stands in brackets there.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let secure = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            connector.dial(host, port).await.map(TokioIo::new)
        })
    }
}
