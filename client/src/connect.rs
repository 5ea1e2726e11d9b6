//! Joining a server.

use std::sync::Arc;

use dlm_core::{LockspaceOptions, SessionId};
use glockwork_proto::frame::{Hello, OperationKind};
use glockwork_proto::wire::{self, lock_client::LockClient};
use glockwork_proto::{FRAME_BYTES_MAX, Name, VersionRange, convert, render};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::counters::Counters;
use crate::driver::Driver;
use crate::endpoints;
use crate::error::{ConnectError, LockError, innermost};
use crate::limits::{CLOSE_MAX, CONNECT_MAX};
use crate::lockspace::Lockspace;
use crate::session::{Answer, Command, Session};

/// Where to connect, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The server: `127.0.0.1:7170` or `http://…`.
    pub endpoint: String,
    /// What people call this client: a node's name, 1 to 64 bytes.
    pub name: String,
}

/// A session with a lock server. Clones are the same session; it ends with [`Client::close`], when the
/// last clone and all that was made from it are dropped, or when the stream breaks.
#[derive(Clone)]
pub struct Client {
    pub(crate) session: Arc<Session>,
    id: SessionId,
}

impl Client {
    /// Joins the server. The session's driver runs on the tokio runtime that this is called in, and
    /// stops with it.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
    /// use dlm_client::{Client, ConnectOptions, Mode};
    ///
    /// let (endpoint, name) = ("127.0.0.1:7170".to_owned(), "backup".to_owned());
    /// # let endpoint = server.addr().to_string();
    /// let client = Client::connect(ConnectOptions { endpoint, name }).await?;
    /// let lockspace = client.lockspace("jobs").await?;
    /// let guard = lockspace.lock("nightly", Mode::Ex).await?;
    /// println!("fencing token {}", guard.token().0);
    /// drop(guard); // unlocks
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let name = Name::new(options.name).map_err(ConnectError::Name)?;
        let endpoint = options.endpoint;
        let silent = ConnectError::Silent {
            endpoint: endpoint.clone(),
        };
        let joining = join(&endpoint, name);
        let joined = timeout(CONNECT_MAX, joining).await.map_err(|_| silent)??;

        let (session, commands) = Session::new(endpoint);
        let shared = Arc::clone(&session.shared);
        let driver = Driver::new(shared, commands, joined.outbound, joined.inbound);
        tokio::spawn(driver.run());
        Ok(Self {
            session: Arc::new(session),
            id: joined.id,
        })
    }

    /// Opens a lockspace, as it is; one that does not exist is made, with the default options.
    ///
    /// # Errors
    /// [`LockError::LockspaceName`], [`LockError::LockspaceRefused`], [`LockError::QueueFull`],
    /// [`LockError::InFlight`] or [`LockError::SessionLost`].
    pub async fn lockspace(&self, name: &str) -> Result<Lockspace, LockError> {
        self.open(name, None).await
    }

    /// Opens a lockspace that is like `options`, and makes it so where it does not exist.
    ///
    /// # Errors
    /// As [`Client::lockspace`]; it is [`LockError::LockspaceRefused`] where the lockspace exists with other
    /// options.
    pub async fn lockspace_with(
        &self,
        name: &str,
        options: LockspaceOptions,
    ) -> Result<Lockspace, LockError> {
        self.open(name, Some(options)).await
    }

    async fn open(
        &self,
        name: &str,
        options: Option<LockspaceOptions>,
    ) -> Result<Lockspace, LockError> {
        let name = Name::new(name).map_err(LockError::LockspaceName)?;
        self.session.room()?;
        let (answer, opened) = oneshot::channel();
        let text = String::from(name.clone());
        self.session.send(Command::Ask {
            kind: OperationKind::OpenLockspace { name, options },
            answer: Answer::Opened(answer),
        });
        let opened = opened
            .await
            .map_err(|_| self.session.shared.lost_error())??;
        Ok(Lockspace::new(self.clone(), opened, text))
    }

    /// The session's number at the server.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where it is connected to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.session.shared.endpoint
    }

    /// What was sent and received since the session began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.session.shared.counting.read()
    }

    /// Ends the session, for all clones: what is queued is sent, then the server is told and releases
    /// what is still locked. Whoever still waits is told that the session is lost.
    pub async fn close(self) {
        self.session.send(Command::Close);
        if timeout(CLOSE_MAX, self.session.ended()).await.is_err() {
            tracing::debug!("the server did not end the stream in time");
        }
    }
}

struct Joined {
    outbound: mpsc::Sender<wire::ClientFrame>,
    inbound: Streaming<wire::ServerFrame>,
    id: SessionId,
}

async fn join(endpoint: &str, name: Name) -> Result<Joined, ConnectError> {
    let unreachable = |why| ConnectError::Unreachable {
        endpoint: endpoint.to_owned(),
        why,
    };
    let refused = |why| ConnectError::Refused {
        endpoint: endpoint.to_owned(),
        why,
    };

    let channel = endpoints::parse(endpoint)?
        .connect()
        .await
        .map_err(|error| unreachable(innermost(&error)))?;
    // One frame at a time: while it is being written, what comes queues for the next.
    let (outbound, frames) = mpsc::channel(1);
    let hello = render::hello(&Hello {
        versions: VersionRange::OURS,
        name,
    });
    outbound
        .try_send(hello)
        .map_err(|error| unreachable(error.to_string()))?;
    let mut client = LockClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
    let answer = client.session(ReceiverStream::new(frames)).await;
    let mut inbound = answer
        .map_err(|status| refused(status.message().to_owned()))?
        .into_inner();

    let first = inbound
        .message()
        .await
        .map_err(|status| refused(status.message().to_owned()))?;
    let first = first.ok_or_else(|| refused("it ended the stream without a welcome".to_owned()))?;
    let welcome = convert::welcome(&first).map_err(|error| refused(error.to_string()))?;
    let theirs = VersionRange {
        min: welcome.version,
        max: welcome.version,
    };
    let agreed = VersionRange::OURS.newest_common(theirs);
    agreed.map_err(|error| refused(error.to_string()))?;
    Ok(Joined {
        outbound,
        inbound,
        id: welcome.session,
    })
}
