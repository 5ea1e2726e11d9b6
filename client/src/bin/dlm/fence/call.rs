//! `dlm fence call`.

use std::time::Duration;

use clap::Args;
use dlm_client::fencing::{self, FenceAnswer, FenceOrder, FenceOutcome};
use dlm_client::nodes::Name;
use dlm_client::{Servers, SessionId};

use crate::error::CommandError;
use crate::{duration, output};

pub(crate) const HELP: &str = "\
As the fence command of lock servers, which put the session's number and name behind it:
  dlm-server --fence-command 'dlm fence call fence:7179' ...

Environment, which they set:
  GLOCKWORK_CLUSTER_ID     whose session it is; without it nothing is remembered of what was fenced
  GLOCKWORK_AGE_MS         it joined at least so long ago; without it any container of that name is stopped
  GLOCKWORK_LEASE_LEFT_MS  its lease may last so much longer; without it it is a whole one, where it is all there is

Exit status: 0 when the session surely writes nothing more, 1 when it may.";

#[derive(Debug, Args)]
pub(super) struct CallArguments {
    /// The agent; of several, with commas between them, the first that can be reached.
    #[arg(value_name = "HOST:PORT")]
    agent: Servers,

    /// The dead session's number.
    #[arg(value_name = "SESSION", value_parser = clap::value_parser!(u64).range(1..))]
    session: u64,

    /// What it is called: the label of its node's containers.
    #[arg(value_name = "NAME", value_parser = name)]
    name: Name,

    /// Give up after so long (500ms, 10s, 2m).
    #[arg(long, value_name = "TIME", default_value = "55s", value_parser = duration::parse)]
    timeout: Duration,

    /// Whose session it is.
    #[arg(long, hide = true, value_name = "NUMBER", env = "GLOCKWORK_CLUSTER_ID", value_parser = cluster)]
    cluster: Option<u128>,

    /// It joined at least so long ago.
    #[arg(
        long,
        hide = true,
        value_name = "MS",
        env = "GLOCKWORK_AGE_MS",
        default_value_t = 0
    )]
    age_ms: u64,

    /// Its lease may last so much longer.
    #[arg(long, hide = true, value_name = "MS", env = "GLOCKWORK_LEASE_LEFT_MS")]
    lease_left_ms: Option<u64>,
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

/// As servers write it: 32 hexadecimal digits.
fn cluster(text: &str) -> Result<u128, std::num::ParseIntError> {
    u128::from_str_radix(text, 16)
}

pub(super) async fn run(servers: &Servers, arguments: &CallArguments) -> Result<(), CommandError> {
    let mut agent = arguments.agent.clone();
    if let Some(tls) = servers.tls() {
        agent = agent.with_tls(tls.clone());
    }
    let order = FenceOrder {
        session: SessionId(arguments.session),
        name: arguments.name.clone(),
        cluster: arguments.cluster,
        age_us: arguments.age_ms.saturating_mul(1000),
        lease_left_us: arguments.lease_left_ms.map(|ms| ms.saturating_mul(1000)),
    };
    let answer = fencing::ask(&agent, &order, arguments.timeout).await?;
    output::write(None, &said(arguments.name.as_str(), &answer))
}

fn said(name: &str, answer: &FenceAnswer) -> String {
    let containers = answer.containers.join(", ");
    match answer.outcome {
        FenceOutcome::Killed => format!("{name} is fenced: {containers} was killed.\n"),
        FenceOutcome::Down => format!("{name} is fenced: {containers} does not run.\n"),
        FenceOutcome::Earlier if containers.is_empty() => {
            format!("{name} is fenced: it was fenced earlier.\n")
        }
        FenceOutcome::Earlier => {
            format!("{name} is fenced: {containers} was started after it had joined.\n")
        }
        FenceOutcome::Lease => {
            format!("{name} is fenced: it has no container, and its lease is over.\n")
        }
    }
}
