//! Joining a cluster.

use std::sync::Arc;

use dlm_core::cluster::{ClusterOptions, Name, Timing, Versions};
use dlm_core::{LockspaceOptions, SessionId};
use glock_core::session::{Config, Session as Machine};
use glockwork_proto::VersionRange;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::channels::Channels;
use crate::clock::{self, Alarm};
use crate::counters::Counters;
use crate::driver::{Beginning, Driver};
use crate::endpoints::Servers;
use crate::error::{ConnectError, LockError, SessionLost};
use crate::joining::Joining;
use crate::limits::{CLOSE_MAX, CONNECT_MAX};
use crate::lockspace::Lockspace;
use crate::random;
use crate::session::{Answer, Command, Lease, Session, Wish};

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The cluster's servers, or some of them.
    pub servers: Servers,
    /// What people call this client: a node's name, 1 to 64 bytes.
    pub name: String,
}

/// A session with a cluster of lock servers. Clones are the same session. It ends with [`Client::close`], when
/// the last clone and all that was made from it are dropped, or when it could not be renewed for the time of
/// its lease; servers that come and go do not end it. By its own clock it ends before the cluster gives its
/// locks to others. Another one is made only by connecting again.
#[derive(Clone)]
pub struct Client {
    pub(crate) session: Arc<Session>,
    servers: Arc<Servers>,
    id: SessionId,
}

impl Client {
    /// Joins the cluster. The session's driver runs on the tokio runtime that this is called in, and
    /// stops with it.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without I/O and time.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
    /// use dlm_client::{Client, ConnectOptions, Mode, Servers};
    ///
    /// let (servers, name) = (Servers::parse("127.0.0.1:7170")?, "backup".to_owned());
    /// # let servers = Servers::parse(&server.addr().to_string())?;
    /// let client = Client::connect(ConnectOptions { servers, name }).await?;
    /// let lockspace = client.lockspace("jobs").await?;
    /// let guard = lockspace.lock("nightly", Mode::Ex).await?;
    /// println!("fencing token {}", guard.token().0);
    /// drop(guard); // unlocks
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let name = Name::new(options.name).map_err(ConnectError::Name)?;
        let servers = options.servers;
        let system = |error: std::io::Error| ConnectError::System {
            why: error.to_string(),
        };
        let drawn = random::draw().map_err(system)?;
        let alarm = Alarm::new().map_err(system)?;

        let timing = Timing::DEFAULT;
        let ours = VersionRange::OURS;
        let config = Config {
            name,
            nonce: drawn.nonce,
            versions: Versions {
                min: ours.min,
                max: ours.max,
            },
            attests: None,
            endpoints: servers.endpoints().to_vec(),
            timing,
            seed: drawn.seed,
        };
        let now = clock::now();
        let (session, commands) = Session::new(servers.to_string());
        let (tell, joined) = oneshot::channel();
        let channels = Channels::new(servers.tls().cloned());
        let connect_us = u64::try_from(CONNECT_MAX.as_micros()).unwrap_or(u64::MAX);
        let driver = Driver::new(Beginning {
            shared: Arc::clone(&session.shared),
            machine: Machine::new(now, config),
            timing,
            alarm,
            channels,
            commands,
            joining: Joining::new(servers.clone(), now.plus(connect_us), tell),
        });
        tokio::spawn(driver.run());
        // The driver says how it ended, unless its runtime does.
        let why = "its runtime has stopped".to_owned();
        let stopped = ConnectError::System { why };
        let id = joined.await.map_err(|_| stopped)??;
        Ok(Self {
            session: Arc::new(session),
            servers: Arc::new(servers),
            id,
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
        let options = ClusterOptions {
            locks: options,
            ..ClusterOptions::default()
        };
        self.open(name, Some(options)).await
    }

    async fn open(
        &self,
        name: &str,
        options: Option<ClusterOptions>,
    ) -> Result<Lockspace, LockError> {
        let name = Name::new(name).map_err(LockError::LockspaceName)?;
        self.session.room()?;
        let (answer, opened) = oneshot::channel();
        let text = String::from(name.clone());
        self.session.send(Command::Ask {
            wish: Wish::Open { name, options },
            answer: Answer::Opened(answer),
        });
        let opened = opened
            .await
            .map_err(|_| self.session.shared.lost_error())??;
        Ok(Lockspace::new(self.clone(), opened, text))
    }

    /// The session's number in the cluster.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The servers that it was told of.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// How long the session lives if it cannot be renewed any more: for whoever needs time to leave things in
    /// order before others get the locks.
    ///
    /// # Errors
    /// What ended the session, once it has ended.
    pub fn lease(&self) -> Result<Lease, SessionLost> {
        self.session.shared.lease()
    }

    /// Waits for the end of the session, and says what it was.
    pub async fn ended(&self) -> SessionLost {
        self.session.ended().await;
        self.session.shared.lost_error()
    }

    /// What was sent and received since the session began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.session.shared.counting.read()
    }

    /// Ends the session, for all clones: what is queued is sent, unlocks are waited for, then the cluster is told
    /// and releases what is still locked. Whoever still waits is told that the session is lost.
    pub async fn close(self) {
        self.session.send(Command::Close);
        if timeout(CLOSE_MAX, self.session.ended()).await.is_err() {
            tracing::debug!("the cluster did not hear of the end in time");
        }
    }
}
