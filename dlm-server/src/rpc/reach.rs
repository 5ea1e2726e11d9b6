//! What the services reach of the server behind them, which may not have found its cluster yet.

use std::sync::{Mutex, MutexGuard};

use dlm_core::cluster::Endpoint;
use dlm_core::{ServerId, SessionId};
use glockwork_proto::Name;
use glockwork_proto::fault::Member;
use tokio::sync::{Notify, watch};
use tonic::codegen::http::Extensions;
use tonic::{Request, Status};

use crate::access::{Access, AccessError, Caller};
use crate::gate;
use crate::founding::{Decision, Founder, FoundingError, Introduction};
use crate::members::Members;
use crate::runtime::{Channels, Handle, Stopping};
use crate::storage::Identity;

/// The server behind the services.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Which server.
    pub(crate) server: ServerId,
    /// How it connects to others.
    pub(crate) channels: Channels,
    /// The other servers of its cluster, and where they are.
    pub(crate) others: watch::Sender<Others>,
    access: Access,
    stage: Mutex<Stage>,
    /// Another server introduced itself.
    heard: Notify,
}

/// Servers, and where they are found.
pub(crate) type Others = Vec<(ServerId, Endpoint)>;

/// How far the server is.
#[derive(Debug)]
enum Stage {
    /// It opens its storage.
    Starting,
    /// It looks for its cluster.
    Founding(Box<Founder>),
    /// It cannot become one of a cluster.
    Failed,
    /// It belongs to a cluster, and has these members as far as it knows; its loop is about to begin.
    Founded(Identity, Members),
    /// It belongs to a cluster and runs.
    Running(Running),
}

/// A server that belongs to a cluster and runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Whose storage it has.
    pub(crate) identity: Identity,
    /// The way to its loop.
    pub(crate) handle: Handle,
}

impl Reach {
    pub(crate) fn new(server: ServerId, channels: Channels, access: Access) -> Self {
        Self {
            server,
            channels,
            others: watch::Sender::default(),
            access,
            stage: Mutex::new(Stage::Starting),
            heard: Notify::const_new(),
        }
    }

    /// Who asks, and what that one may do.
    pub(crate) fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        Ok(self.authorized(request.extensions())?)
    }

    /// The same, by what a request came with.
    pub(crate) fn authorized(&self, extensions: &Extensions) -> Result<Caller, AccessError> {
        self.access.authorized(extensions)
    }

    /// A session said something over a connection: faults between it and this server are that connection's.
    /// Waits for as long as what it said would not have arrived.
    pub(crate) async fn heard_from(
        &self,
        sender: &gate::Caller,
        session: SessionId,
    ) -> Result<(), Status> {
        if !self.channels.gates.allowed() {
            return Ok(());
        }
        let handle = self.handle()?;
        let name = handle.look(move |node, _| {
            let known = node.state().sessions().get(&session);
            known.map(|known| known.name.clone())
        });
        let name = name.await?.and_then(|name| Name::new(name.as_str()).ok());
        if let Some(name) = name {
            sender.is(Member::Session(name)).await?;
        }
        Ok(())
    }

    /// The server begins to look for its cluster.
    pub(crate) fn founds(&self, founder: Founder) {
        *self.stage() = Stage::Founding(Box::new(founder));
    }

    /// What a server that looks for its cluster says of itself; none where it is not one.
    pub(crate) fn introduction(&self) -> Option<Introduction> {
        match &*self.stage() {
            Stage::Founding(founder) => Some(founder.introduction()),
            _ => None,
        }
    }

    /// What another server said when it was asked.
    pub(crate) fn heard(&self, asked: ServerId, said: Introduction) -> Result<(), FoundingError> {
        match &mut *self.stage() {
            Stage::Founding(founder) => founder.hear(Some(asked), said),
            _ => Ok(()),
        }
    }

    /// What is to be done now; `create` makes the storage. Nobody is answered meanwhile: a server that
    /// has made its storage answers as its cluster's.
    pub(crate) fn decide<E: From<FoundingError>>(
        &self,
        create: impl FnOnce(&Decision) -> Result<Option<(Identity, Members)>, E>,
    ) -> Result<Decision, E> {
        let mut stage = self.stage();
        let Stage::Founding(founder) = &*stage else {
            // Another server introduced itself, and that cannot be.
            return Err(FoundingError::SameNumber {
                server: self.server,
            }
            .into());
        };
        let decided = founder.decide().map_err(E::from).and_then(|decision| {
            let made = create(&decision)?;
            Ok((decision, made))
        });
        match decided {
            Ok((decision, made)) => {
                if let Some((identity, members)) = made {
                    *stage = Stage::Founded(identity, members);
                }
                Ok(decision)
            }
            Err(error) => {
                *stage = Stage::Failed;
                Err(error)
            }
        }
    }

    /// Waits until another server introduced itself.
    pub(crate) async fn introduced(&self) {
        self.heard.notified().await;
    }

    /// The server belongs to a cluster and runs.
    pub(crate) fn runs(&self, running: Running) {
        *self.stage() = Stage::Running(running);
    }

    /// Another server introduced itself. What it is answered, or the running server that answers.
    pub(crate) fn greet(&self, said: &Introduction) -> Result<Greeting, Status> {
        match &mut *self.stage() {
            Stage::Starting | Stage::Failed => Err(Status::unavailable(
                "the server is starting; ask again in a moment",
            )),
            Stage::Founding(founder) => {
                let heard = founder.hear(None, said.clone());
                self.heard.notify_one();
                heard.map_err(|error| Status::failed_precondition(error.to_string()))?;
                Ok(Greeting::Said(founder.introduction()))
            }
            Stage::Founded(identity, members) => {
                let to = (said.server, said.identity);
                let ours = Introduction::of_member(*identity, members, to);
                Ok(Greeting::Said(ours))
            }
            Stage::Running(running) => Ok(Greeting::By(running.clone())),
        }
    }

    /// The running server.
    pub(crate) fn running(&self) -> Result<Running, Status> {
        match &*self.stage() {
            Stage::Running(running) => Ok(running.clone()),
            _ => Err(Status::unavailable(
                "the server has not found its cluster yet, and its log says what it waits for; ask another \
                 one, or again later",
            )),
        }
    }

    /// The way to its loop.
    pub(crate) fn handle(&self) -> Result<Handle, Status> {
        Ok(self.running()?.handle)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage
            .lock()
            .expect("nothing panics while it has the stage")
    }
}

/// How a server answers an introduction.
pub(crate) enum Greeting {
    /// With this.
    Said(Introduction),
    /// As a server that runs.
    By(Running),
}

impl From<Stopping> for Status {
    fn from(stopping: Stopping) -> Self {
        Self::unavailable(stopping.to_string())
    }
}
