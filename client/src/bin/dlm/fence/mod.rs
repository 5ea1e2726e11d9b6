//! `dlm fence`.

mod agent;
mod call;

use clap::{Args, Subcommand};
use dlm_client::Servers;
use dlm_client::inspect;

use crate::error::CommandError;
use crate::{output, purge};

#[derive(Debug, Args)]
pub(crate) struct FenceArguments {
    #[command(subcommand)]
    command: FenceCommand,
}

#[derive(Debug, Subcommand)]
enum FenceCommand {
    /// Say that a dead node is surely down: switched off, or cut off from all that it could write to.
    ///
    /// This takes the place of its fence command, and its locks are given away. If the node still runs, two
    /// nodes may write to the same place at once, and data is lost.
    Confirm(ConfirmArguments),
    /// Stop the containers of dead nodes on request: the one program that needs the container engine's socket.
    #[command(after_long_help = agent::HELP)]
    Agent(agent::AgentArguments),
    /// Ask a fence agent, and return when the session surely writes nothing more: the servers' fence command.
    #[command(after_long_help = call::HELP)]
    Call(Box<call::CallArguments>),
}

#[derive(Debug, Args)]
struct ConfirmArguments {
    /// A dead session's number or its name, as `dlm sessions` shows them.
    #[arg(value_name = "NODE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node: String,
}

pub(crate) async fn run(servers: &Servers, arguments: &FenceArguments) -> Result<(), CommandError> {
    match &arguments.command {
        FenceCommand::Confirm(arguments) => confirm(servers, arguments).await,
        FenceCommand::Agent(arguments) => agent::run(servers, arguments).await,
        FenceCommand::Call(arguments) => call::run(servers, arguments).await,
    }
}

async fn confirm(servers: &Servers, arguments: &ConfirmArguments) -> Result<(), CommandError> {
    let status = inspect::status(servers).await?;
    let session = purge::find(&arguments.node, &status.sessions)?;
    inspect::confirm_fence(servers, session.session).await?;
    let (name, number) = (&session.name, session.session);
    let said = format!("{name} ({number}) is fenced, and its locks are given away.\n");
    output::write(None, &said)
}
