//! Connections that are accepted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;

use super::{Gated, Gates};

/// A listener's connections, each behind a gate; for tonic's `serve_with_incoming`, with TLS or without.
#[derive(Debug)]
pub struct Incoming {
    sockets: TcpIncoming,
    gates: Gates,
}

impl Gates {
    /// The connections that `listener` accepts. Whose they are is said by [`Caller::is`](super::Caller::is).
    #[must_use]
    pub fn incoming(&self, listener: TcpListener) -> Incoming {
        // An answer that waits for the acknowledgement of the one before would cost 40 ms.
        let sockets = TcpIncoming::from(listener).with_nodelay(Some(true));
        let gates = self.clone();
        Incoming { sockets, gates }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Gated<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.sockets).poll_next(context);
        let behind = |socket: TcpStream| {
            let remote = socket.peer_addr().ok();
            Gated::new(socket, self.gates.link(None), remote)
        };
        next.map(|next| next.map(|socket| socket.map(behind)))
    }
}
