//! Whether a program of a cluster is well: gRPC's own service for that, which lock servers, nodes and fence agents have.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::endpoints::{self, Servers};
use crate::error::{ConnectError, innermost, rpc_failure};

/// Why nobody is well.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] ConnectError),
    /// Nobody is there.
    #[error("nothing answers at {at}: {why}")]
    Unreachable {
        /// Where.
        at: String,
        /// Why not.
        why: String,
    },
    /// It says nothing.
    #[error("{at} does not answer within {} s; is it stopped?", within.as_secs_f64())]
    Late {
        /// Where.
        at: String,
        /// How long it had.
        within: Duration,
    },
    /// There is no such service.
    #[error("{at} has no service \"{service}\"; leave --service away to ask about all of them")]
    NoService {
        /// Where.
        at: String,
        /// Which.
        service: String,
    },
    /// It is there, and does not serve.
    #[error("{at} does not serve: {why}")]
    NotServing {
        /// Where.
        at: String,
        /// What it says.
        why: String,
    },
}

/// Asks whoever is at the first of these addresses whether it serves; `service` is one of its services, or nothing for
/// the whole of it.
///
/// # Errors
/// [`HealthError`]: it does not.
pub async fn check(at: &Servers, service: &str, within: Duration) -> Result<(), HealthError> {
    let late = |_| HealthError::Late {
        at: at.to_string(),
        within,
    };
    timeout(within, try_check(at, service))
        .await
        .map_err(late)?
}

async fn try_check(servers: &Servers, service: &str) -> Result<(), HealthError> {
    let at = servers.to_string();
    let [endpoint, ..] = servers.endpoints() else {
        let why = "there is no address".into();
        return Err(HealthError::Unreachable { at, why });
    };
    let transport = endpoints::transport(endpoint, servers.tls())?;
    let channel = match transport.connect().await {
        Ok(channel) => channel,
        Err(error) => {
            let why = innermost(&error);
            return Err(HealthError::Unreachable { at, why });
        }
    };
    let question = HealthCheckRequest {
        service: service.to_owned(),
    };
    match HealthClient::new(channel).check(question).await {
        Ok(reply) if reply.get_ref().status == ServingStatus::Serving as i32 => Ok(()),
        Ok(_) => {
            let why = "it is starting, or stopping".into();
            Err(HealthError::NotServing { at, why })
        }
        Err(status) if status.code() == Code::NotFound => Err(HealthError::NoService {
            at,
            service: service.to_owned(),
        }),
        Err(status) => Err(HealthError::NotServing {
            at,
            why: rpc_failure(&status),
        }),
    }
}
