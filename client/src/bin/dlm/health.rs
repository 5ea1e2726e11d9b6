//! `dlm health`.

use std::time::Duration;

use clap::Args;
use dlm_client::{DEFAULT_ENDPOINT, Servers, health};

use crate::error::CommandError;
use crate::{duration, output};

#[derive(Debug, Args)]
pub(crate) struct HealthArguments {
    /// Who is asked: a lock server, a node or a fence agent.
    #[arg(value_name = "HOST:PORT", default_value = DEFAULT_ENDPOINT)]
    at: Servers,

    /// Ask about one of its services, such as glockwork.v1.Link; without it, about the whole of it.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,

    /// Give up after so long (500ms, 2s).
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    timeout: Duration,
}

/// Says that it serves, or fails.
pub(crate) async fn run(
    servers: &Servers,
    arguments: &HealthArguments,
) -> Result<(), CommandError> {
    let mut at = arguments.at.clone();
    if let Some(tls) = servers.tls() {
        at = at.with_tls(tls.clone());
    }
    health::check(&at, &arguments.service, arguments.timeout).await?;
    output::write(None, &format!("{at} serves.\n"))
}
