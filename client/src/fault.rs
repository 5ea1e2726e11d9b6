//! Faults of the network between members of a cluster, put in and taken away. For tests: servers do it only where
//! they were started with `--allow-faults`.

use std::time::Duration;

use glockwork_proto::fault::{ActiveFault as Active, Healing, Injection, Missed as ProtoMissed};
use glockwork_proto::wire::fault_client::FaultClient;
use glockwork_proto::{convert, render, wire};
use serde::Serialize;
use tonic::transport::Channel;

pub use glockwork_proto::WireError;
pub use glockwork_proto::fault::{FAULT_DELAY_US_MAX, Fault, Member};

use crate::Servers;
use crate::inspect::{InspectError, answer, channel, unreadable};

/// A fault that a server has, in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveFault {
    /// Where the bytes come from.
    pub from: String,
    /// Where they go to.
    pub to: String,
    /// `cut`, `drop`, `delay` or `stall`.
    pub fault: &'static str,
    /// How much later they arrive, in microseconds; not there where it is no delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_us: Option<u64>,
    /// How much longer the fault lasts, in microseconds; none: until it is healed.
    pub left_us: Option<u64>,
}

/// A server that did not take what was passed on to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Its number.
    pub server: u64,
    /// Why not.
    pub why: String,
}

/// A fault on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultOptions {
    /// Where the bytes come from.
    pub from: Member,
    /// Where they go to. One of the two is a server.
    pub to: Member,
    /// Whether the other direction is left alone.
    pub one_way: bool,
    /// What happens to them.
    pub fault: Fault,
    /// How long it lasts, by the clock of each server; `None`: until it is healed.
    pub lasts: Option<Duration>,
}

/// Puts a fault in, at all servers, and says which of them did not take it: each enforces its own side.
///
/// # Errors
/// [`InspectError`].
pub async fn inject(servers: &Servers, options: FaultOptions) -> Result<Vec<Missed>, InspectError> {
    injected(servers, options, false).await
}

/// Puts a fault in at the server that is asked, and at no other: for whoever reaches servers that do not reach each
/// other any more.
///
/// # Errors
/// [`InspectError`].
pub async fn inject_here(server: &Servers, options: FaultOptions) -> Result<(), InspectError> {
    injected(server, options, true).await.map(drop)
}

async fn injected(
    servers: &Servers,
    options: FaultOptions,
    here_only: bool,
) -> Result<Vec<Missed>, InspectError> {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let injection = Injection {
        from: options.from,
        to: options.to,
        one_way: options.one_way,
        fault: options.fault,
        for_us: options.lasts.map(us),
        here_only,
    };
    let (endpoint, mut client) = connect(servers).await?;
    let asking = client.inject(render::inject_fault(&injection));
    Ok(missed(answer(&endpoint, asking).await?))
}

/// Takes away what is between two members, or everything, at all servers, and says which did not hear of it.
///
/// # Errors
/// [`InspectError`].
pub async fn heal(
    servers: &Servers,
    link: Option<(Member, Member)>,
) -> Result<Vec<Missed>, InspectError> {
    healed(servers, link, false).await
}

/// Takes away what is between two members, or everything, at the server that is asked, and at no other.
///
/// # Errors
/// [`InspectError`].
pub async fn heal_here(
    server: &Servers,
    link: Option<(Member, Member)>,
) -> Result<(), InspectError> {
    healed(server, link, true).await.map(drop)
}

async fn healed(
    servers: &Servers,
    link: Option<(Member, Member)>,
    here_only: bool,
) -> Result<Vec<Missed>, InspectError> {
    let healing = Healing { link, here_only };
    let (endpoint, mut client) = connect(servers).await?;
    let asking = client.heal(render::heal_faults(&healing));
    Ok(missed(answer(&endpoint, asking).await?))
}

/// The faults that the server has. One that goes both ways is there for each way.
///
/// # Errors
/// [`InspectError`].
pub async fn list(servers: &Servers) -> Result<Vec<ActiveFault>, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let reply = answer(&endpoint, client.list(wire::ListFaultsRequest {})).await?;
    let active = convert::active_faults(reply).map_err(|why| unreadable(&endpoint, why))?;
    Ok(active.into_iter().map(ActiveFault::from).collect())
}

async fn connect(servers: &Servers) -> Result<(String, FaultClient<Channel>), InspectError> {
    let (endpoint, channel) = channel(servers).await?;
    Ok((endpoint, FaultClient::new(channel)))
}

fn missed(reply: wire::FaultReply) -> Vec<Missed> {
    let missed = convert::faults_missed(reply).into_iter();
    missed
        .map(|ProtoMissed { server, why }| Missed {
            server: server.0,
            why,
        })
        .collect()
}

impl From<Active> for ActiveFault {
    fn from(active: Active) -> Self {
        Self {
            from: active.from.to_string(),
            to: active.to.to_string(),
            fault: active.fault.kind().name(),
            delay_us: match active.fault {
                Fault::Delay { us } => Some(us),
                Fault::Cut | Fault::Drop | Fault::Stall => None,
            },
            left_us: active.left_us,
        }
    }
}
