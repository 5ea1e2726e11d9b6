//! `dlm evict`.

use clap::Args;
use dlm_client::Servers;
use dlm_client::inspect;

use crate::error::CommandError;
use crate::{output, purge};

#[derive(Debug, Args)]
pub(crate) struct EvictArguments {
    /// A session's number or its name, as `dlm sessions` shows them.
    #[arg(value_name = "NODE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node: String,
}

pub(crate) async fn run(servers: &Servers, arguments: &EvictArguments) -> Result<(), CommandError> {
    let status = inspect::status(servers).await?;
    let session = purge::find(&arguments.node, &status.sessions)?;
    inspect::evict(servers, session.session).await?;
    let (name, number) = (&session.name, session.session);
    let said = format!(
        "{name} ({number}) is dead. What it holds stays until it is fenced; dlm status says what that waits \
         for.\n"
    );
    output::write(None, &said)
}
