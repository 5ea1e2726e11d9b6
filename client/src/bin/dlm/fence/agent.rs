//! `dlm fence agent`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dlm_client::Servers;
use dlm_client::fencing::{Action, Agent, AgentConfig, AgentDoor, Engine, Others};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;

pub(crate) const HELP: &str = "\
A node's containers are those with the label io.glockwork.node=NAME, NAME being what its session is called; with
--cluster they also have io.glockwork.cluster=CLUSTER. They are killed, paused ones too, and the agent answers when
their processes are gone. Containers that were started after the session had joined run another session and are left
alone, and so are those that do not run.

Whoever reaches the agent can have nodes stopped, so that it listens elsewhere than on loopback only with
certificates (--tls-ca, --tls-cert, --tls-key), or with --insecure on a network of its own.";

#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7179")]
    listen: SocketAddr,

    /// The container engine's socket, which speaks Docker's API.
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock")]
    engine: PathBuf,

    /// What becomes of a dead node's container.
    #[arg(long, value_enum, default_value = "reboot")]
    action: AgentAction,

    /// What becomes of dead sessions that have no container.
    #[arg(long, value_enum, default_value = "lease")]
    others: AgentOthers,

    /// The cluster whose containers these are, where the engine has those of several.
    #[arg(long, value_name = "CLUSTER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    cluster: Option<String>,

    /// Listen in plain text where others can reach it.
    #[arg(long)]
    insecure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AgentAction {
    /// It is killed, and started again.
    Reboot,
    /// It is killed, and somebody has to start it again.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AgentOthers {
    /// What is left of their lease is waited for, and is believed.
    Lease,
    /// They are not fenced: somebody has to say `dlm fence confirm`.
    Refuse,
}

pub(super) async fn run(servers: &Servers, arguments: &AgentArguments) -> Result<(), CommandError> {
    let listen = arguments.listen;
    if servers.tls().is_none() && !listen.ip().is_loopback() && !arguments.insecure {
        return Err(CommandError::PlainAgent { listen });
    }
    let agent = Agent::new(
        Engine::new(&arguments.engine),
        AgentConfig {
            action: match arguments.action {
                AgentAction::Reboot => Action::Reboot,
                AgentAction::Off => Action::Off,
            },
            others: match arguments.others {
                AgentOthers::Lease => Others::Lease,
                AgentOthers::Refuse => Others::Refuse,
            },
            cluster: arguments.cluster.clone(),
            tell: |line| eprintln!("dlm: {line}"),
        },
    );
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Runtime)?;
    let door = AgentDoor::bind(listen).await?;
    eprintln!("dlm: the fence agent listens on {}", door.addr());
    if let Err(error) = agent.engine().ping().await {
        // It may come.
        eprintln!("dlm: {error}");
    }
    tokio::select! {
        ended = door.serve(agent, servers.tls()) => Ok(ended?),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
