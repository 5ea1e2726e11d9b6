//! Who is at the other end of an accepted connection.

use std::net::SocketAddr;
use std::sync::Arc;

use glockwork_proto::fault::Member;
use thiserror::Error;
use tonic::{Request, Status};

use super::link::Link;
use super::table::Passage;

/// An accepted connection as the calls that come over it know it: in a request's extensions, see
/// [`Caller::of`].
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Not set where faults are not allowed.
    link: Option<Arc<Link>>,
    remote: Option<SocketAddr>,
}

/// What was said over the connection is lost, and so is the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection was lost; connect again")]
pub struct CallerLost;

impl From<CallerLost> for Status {
    fn from(lost: CallerLost) -> Self {
        Self::unavailable(lost.to_string())
    }
}

impl Caller {
    pub(super) const fn new(link: Option<Arc<Link>>, remote: Option<SocketAddr>) -> Self {
        Self { link, remote }
    }

    /// The one that sent a request. Where its connection did not come through [`Incoming`](super::Incoming),
    /// it is one that nothing ever holds up.
    #[must_use]
    pub fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Where the connection comes from, where that is known.
    #[must_use]
    pub const fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// It said who it is: from now on the faults between that member and this server are the connection's.
    ///
    /// A service calls this as soon as it has read the name, and before it acts upon anything that was said
    /// with it: it waits for as long as what was said would not have arrived.
    ///
    /// # Errors
    /// [`CallerLost`]: it never arrived.
    pub async fn is(&self, member: Member) -> Result<(), CallerLost> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        link.is(member);
        self.arrived().await
    }

    /// Waits for as long as what was said would not have arrived. For what was read already when a fault began.
    ///
    /// # Errors
    /// [`CallerLost`]: it never arrived.
    pub async fn arrived(&self) -> Result<(), CallerLost> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        link.until(|link| !link.arriving().holds()).await;
        if link.arriving() != Passage::Lost {
            return Ok(());
        }
        link.lose();
        link.until(Link::is_broken).await;
        Err(CallerLost)
    }
}
