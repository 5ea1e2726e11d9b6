//! A socket behind a gate.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, split};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;

use super::arriving::Arriving;
use super::caller::Caller;
use super::link::Link;
use super::outgoing::{Outgoing, pump};

/// A socket whose bytes wait, are late or are lost as the faults say.
///
/// Writing behaves as on a socket with a large buffer: what cannot leave yet is taken all the same, as far as
/// there is room, and leaves by itself. Dropping it while its link is cut leaves the socket open until the
/// other end can hear of it.
#[derive(Debug)]
pub struct Gated<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(Kind<S>);

#[derive(Debug)]
enum Kind<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    /// No faults are allowed.
    Plain(S),
    Behind(Box<Behind<S>>),
}

#[derive(Debug)]
struct Behind<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    link: Arc<Link>,
    read: ReadHalf<S>,
    arriving: Arriving,
    outgoing: Arc<Mutex<Outgoing<S>>>,
    remote: Option<SocketAddr>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Gated<S> {
    pub(super) fn new(socket: S, link: Option<Arc<Link>>, remote: Option<SocketAddr>) -> Self {
        let Some(link) = link else {
            return Self(Kind::Plain(socket));
        };
        let (read, write) = split(socket);
        Self(Kind::Behind(Box::new(Behind {
            read,
            arriving: Arriving::new(&link),
            outgoing: Arc::new(Mutex::new(Outgoing::new(write, Arc::clone(&link)))),
            link,
            remote,
        })))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is under it is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Behind<S> {
    /// With what is to be written, after which the pump runs if it has to.
    fn outgoing<T>(&self, act: impl FnOnce(&mut Outgoing<S>) -> T) -> T {
        let mut outgoing = lock(&self.outgoing);
        let result = act(&mut outgoing);
        if outgoing.wants_pump() {
            tokio::spawn(pump(Arc::clone(&self.outgoing), self.link.changes()));
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Drop for Behind<S> {
    fn drop(&mut self) {
        // Without a runtime nothing is waited for any more.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.outgoing(Outgoing::leave);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncRead for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Kind::Behind(behind) => {
                let Behind {
                    link,
                    read,
                    arriving,
                    ..
                } = &mut **behind;
                arriving.poll_read(link, read, context, buffer)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Kind::Behind(behind) => behind.outgoing(|outgoing| outgoing.poll_write(context, bytes)),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Kind::Behind(behind) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                let bytes = first.map_or(&[][..], |slice| slice);
                behind.outgoing(|outgoing| outgoing.poll_write(context, bytes))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Plain(socket) => socket.is_write_vectored(),
            Kind::Behind(_) => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_flush(context),
            Kind::Behind(behind) => behind.outgoing(|outgoing| outgoing.poll_flush(context)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Kind::Behind(behind) => behind.outgoing(|outgoing| outgoing.poll_shutdown(context)),
        }
    }
}

impl Connected for Gated<TcpStream> {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        match &self.0 {
            Kind::Plain(socket) => Caller::new(None, socket.peer_addr().ok()),
            Kind::Behind(behind) => Caller::new(Some(Arc::clone(&behind.link)), behind.remote),
        }
    }
}
