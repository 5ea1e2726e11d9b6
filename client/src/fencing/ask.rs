//! Asking an agent.

use std::time::Duration;

use glockwork_proto::fence::{FenceAnswer, FenceOrder};
use glockwork_proto::wire::fence_client::FenceClient;
use glockwork_proto::{WireError, convert, render};
use tokio::time::timeout;

use crate::endpoints::{self, Servers};
use crate::error::{ConnectError, innermost, rpc_failure};

/// Why it is not known that a session is fenced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// The agent's address is none.
    #[error(transparent)]
    Address(#[from] ConnectError),
    /// Nobody is there.
    #[error("cannot reach a fence agent at {agents}: {why}; start one with dlm fence agent")]
    Unreachable {
        /// Where it was looked for.
        agents: String,
        /// Why not.
        why: String,
    },
    /// It takes too long.
    #[error("the fence agent at {agents} does not answer within {} s", within.as_secs_f64())]
    Late {
        /// Where it is.
        agents: String,
        /// How long it had.
        within: Duration,
    },
    /// It could not.
    #[error("the fence agent says: {why}")]
    Refused {
        /// What it says.
        why: String,
    },
    /// What it says means nothing.
    #[error("the fence agent's answer means nothing: {why}; is it newer?")]
    Answer {
        /// What is wrong with it.
        why: WireError,
    },
}

/// Asks the first of the agents that can be reached, and returns when the session surely writes nothing more.
///
/// # Errors
/// [`AskError`]: it may.
pub async fn ask(
    agents: &Servers,
    order: &FenceOrder,
    within: Duration,
) -> Result<FenceAnswer, AskError> {
    let asking = timeout(within, try_ask(agents, order));
    let late = |_| AskError::Late {
        agents: agents.to_string(),
        within,
    };
    asking.await.map_err(late)?
}

async fn try_ask(agents: &Servers, order: &FenceOrder) -> Result<FenceAnswer, AskError> {
    let mut why = String::new();
    for agent in agents.endpoints() {
        let transport = endpoints::transport(agent, agents.tls())?;
        let channel = match transport.connect().await {
            Ok(channel) => channel,
            Err(error) => {
                why = innermost(&error);
                continue;
            }
        };
        let mut client = FenceClient::new(channel);
        let asked = client.fence(render::fence_order(order)).await;
        let reply = asked.map_err(|status| AskError::Refused {
            why: rpc_failure(&status),
        })?;
        let answer = convert::fence_answer(reply.into_inner());
        return answer.map_err(|why| AskError::Answer { why });
    }
    let agents = agents.to_string();
    Err(AskError::Unreachable { agents, why })
}
