//! `dlm fence`.

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
}

#[derive(Debug, Args)]
struct ConfirmArguments {
    /// A dead session's number or its name, as `dlm sessions` shows them.
    #[arg(value_name = "NODE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node: String,
}

pub(crate) async fn run(servers: &Servers, arguments: &FenceArguments) -> Result<(), CommandError> {
    let FenceCommand::Confirm(ConfirmArguments { node }) = &arguments.command;
    let status = inspect::status(servers).await?;
    let session = purge::find(node, &status.sessions)?;
    inspect::confirm_fence(servers, session.session).await?;
    let (name, number) = (&session.name, session.session);
    let said = format!("{name} ({number}) is fenced, and its locks are given away.\n");
    output::write(None, &said)
}
