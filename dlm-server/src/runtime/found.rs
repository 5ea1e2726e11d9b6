//! Which cluster a server belongs to: what its disk says, or what it founds with the others.

use std::path::Path;
use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use glockwork_proto::wire::founding_client::FoundingClient;
use glockwork_proto::{convert, render};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info};

use super::channel::{CONNECT_WAIT_MAX, Channels};
use super::random;
use crate::error::ServeError;
use crate::founding::{Decision, Founder, FoundingError, Introduction, Plan, Waiting};
use crate::members::{Members, ServerIdentity};
use crate::rpc::Reach;
use crate::settings::Settings;
use crate::storage::{
    ClusterId, Draft, EngineStorage, Founding, Identity, MemoryStorage, Storage, StorageError,
    Stored,
};

/// A storage, open, and what is in it.
pub(super) struct Found {
    pub(super) storage: Box<dyn Storage + Send>,
    pub(super) stored: Stored,
}

/// How long a server waits before it introduces itself again, unless somebody does so to it.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Opens the server's storage, once it has one.
pub(super) async fn storage(settings: &Settings, reach: &Reach) -> Result<Found, ServeError> {
    let Some(dir) = &settings.data else {
        return Ok(in_memory(settings.server)?);
    };
    if !Identity::is_kept_in(dir) {
        found(dir, settings, reach).await?;
    }
    let (storage, stored) = EngineStorage::open(dir)?;
    let of = stored.identity.server;
    if of != settings.server {
        return Err(ServeError::OtherServer {
            dir: dir.clone(),
            of,
            started_as: settings.server,
        });
    }
    let storage = Box::new(storage);
    Ok(Found { storage, stored })
}

/// A cluster of one that ends with its process.
fn in_memory(server: ServerId) -> Result<Found, StorageError> {
    let identity = Identity {
        cluster: ClusterId(random::number()),
        server,
        server_identity: ServerIdentity(random::number().max(1)),
    };
    let mut storage = MemoryStorage::create(identity, Founding::First);
    let stored = storage.open()?;
    let storage = Box::new(storage);
    Ok(Found { storage, stored })
}

/// Until the server has made its storage.
async fn found(dir: &Path, settings: &Settings, reach: &Reach) -> Result<(), ServeError> {
    let draft = Draft::find_or_draw(dir, settings.server, random::number().to_le_bytes())?;
    let plan = Plan {
        server: settings.server,
        peers: settings.peers.keys().copied().collect(),
        join: settings.join,
    };
    reach.founds(Founder::new(plan, draft.server_identity)?);
    let mut said = None;
    loop {
        if ask_all(settings, reach).await? {
            debug!("all others were heard");
        }
        let decision = reach.decide(|decision| create(dir, decision))?;
        match decision {
            Decision::Create(identity, _) => {
                let (server, cluster) = (identity.server.0, identity.cluster.0);
                info!("server {server} belongs to cluster {cluster:032x}");
                return Ok(());
            }
            Decision::Wait(waiting) => tell_once(&mut said, waiting),
        }
        // Whoever comes is asked at once: so that three servers that start together need no pause.
        let _ = timeout(ASK_AGAIN, reach.introduced()).await;
    }
}

fn tell_once(said: &mut Option<Waiting>, waiting: Waiting) {
    if said.as_ref() != Some(&waiting) {
        info!("{waiting}");
        *said = Some(waiting);
    }
}

fn create(dir: &Path, decision: &Decision) -> Result<Option<(Identity, Members)>, ServeError> {
    let Decision::Create(identity, founding) = decision else {
        return Ok(None);
    };
    let members = match founding {
        Founding::Together(members) => members.clone(),
        Founding::First | Founding::Join => Members::default(),
    };
    EngineStorage::create(dir, *identity, founding.clone())?;
    Ok(Some((*identity, members)))
}

/// Introduces the server to all others; true where all have answered.
async fn ask_all(settings: &Settings, reach: &Reach) -> Result<bool, FoundingError> {
    let Some(ours) = reach.introduction() else {
        return Ok(false);
    };
    let mut asked = JoinSet::new();
    for (&server, endpoint) in &settings.peers {
        if server != settings.server {
            let (ours, channels) = (ours.clone(), reach.channels.clone());
            let endpoint = endpoint.clone();
            asked.spawn(async move { (server, introduce(ours, &channels, &endpoint).await) });
        }
    }
    let mut all = true;
    while let Some(joined) = asked.join_next().await {
        match joined {
            Ok((server, Ok(theirs))) => reach.heard(server, theirs)?,
            Ok((server, Err(why))) => {
                all = false;
                debug!(server = server.0, "not heard: {why}");
            }
            Err(_) => all = false,
        }
    }
    Ok(all)
}

/// Asks another server who it is, and says who this one is.
///
/// # Errors
/// Why it did not answer, in words.
pub(crate) async fn introduce(
    ours: Introduction,
    channels: &Channels,
    endpoint: &Endpoint,
) -> Result<Introduction, String> {
    let ask = async {
        let mut client = FoundingClient::new(channels.connect_to_any(endpoint).await?);
        let reply = client.introduce(render::introduction(&ours.into())).await;
        let reply = reply.map_err(|status| status.message().to_owned())?;
        let theirs = convert::introduction(reply.into_inner());
        theirs
            .map(Introduction::from)
            .map_err(|error| error.to_string())
    };
    let answered = timeout(CONNECT_WAIT_MAX, ask).await;
    answered.unwrap_or_else(|_| Err("it does not answer".into()))
}
