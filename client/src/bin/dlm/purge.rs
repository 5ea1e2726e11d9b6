//! `dlm purge`.

use clap::Args;
use dlm_client::Servers;
use dlm_client::inspect::{self, SessionStatus};
use serde::Serialize;

use crate::error::CommandError;
use crate::{output, warning};

#[derive(Debug, Args)]
pub(crate) struct PurgeArguments {
    /// The lockspace.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    lockspace: String,

    /// Whose orphans: a session's number or its name, as `dlm status` shows them.
    #[arg(long, value_name = "NUMBER|NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    session: String,

    /// Only those that this task of the session left.
    #[arg(long, value_name = "TASK")]
    owner: Option<u64>,

    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// What `--json` says.
#[derive(Serialize)]
struct Purged<'a> {
    lockspace: &'a str,
    session: u64,
    session_name: &'a str,
    owner: Option<u64>,
    /// How many orphans went.
    locks: u32,
}

pub(crate) async fn run(servers: &Servers, arguments: &PurgeArguments) -> Result<(), CommandError> {
    let status = inspect::status(servers).await?;
    let session = find(&arguments.session, &status.sessions)?;
    let (lockspace, owner) = (&arguments.lockspace, arguments.owner);
    let gone = inspect::purge(servers, lockspace, session.session, owner).await?;
    let purged = Purged {
        lockspace,
        session: session.session,
        session_name: &session.name,
        owner,
        locks: gone.locks,
    };
    let rendered = if arguments.json {
        output::json(&purged)
    } else {
        text(&purged)
    };
    output::write(None, &rendered)?;
    warning::incomplete(&gone.coverage);
    Ok(())
}

fn text(purged: &Purged<'_>) -> String {
    let task = purged.owner.map(|owner| format!("task {owner} of "));
    let task = task.unwrap_or_default();
    let (session, name, lockspace) = (purged.session, purged.session_name, purged.lockspace);
    match purged.locks {
        0 => format!("{task}{name} ({session}) has no orphans in {lockspace}.\n"),
        1 => format!("1 orphan of {task}{name} ({session}) in {lockspace} is gone.\n"),
        locks => format!("{locks} orphans of {task}{name} ({session}) in {lockspace} are gone.\n"),
    }
}

/// The session that has this number, or else the one that is called so.
pub(crate) fn find<'a>(
    wanted: &str,
    sessions: &'a [SessionStatus],
) -> Result<&'a SessionStatus, CommandError> {
    let number: Option<u64> = wanted.parse().ok();
    let mut all = sessions.iter();
    if let Some(one) = all.find(|each| Some(each.session) == number) {
        return Ok(one);
    }
    let found: Vec<_> = sessions.iter().filter(|each| each.name == wanted).collect();
    let wanted = wanted.to_owned();
    match found[..] {
        [one] => Ok(one),
        [] => Err(CommandError::NoSession { wanted }),
        _ => {
            let listed = found.iter();
            let listed: Vec<_> = listed
                .map(|each| format!("{} ({})", each.name, each.session))
                .collect();
            let sessions = listed.join(", ");
            Err(CommandError::SeveralSessions { wanted, sessions })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_name_or_number_and_not_by_chance() {
        let session = |session, name: &str| SessionStatus {
            session,
            name: name.into(),
            ..SessionStatus::default()
        };
        let sessions = [
            session(1, "a"),
            session(2, "b"),
            session(3, "a"),
            session(4, "2"),
        ];
        let found = |wanted| find(wanted, &sessions).map(|found| found.session);
        assert_eq!(found("b").ok(), Some(2));
        assert_eq!(found("3").ok(), Some(3));
        let several = found("a").unwrap_err().to_string();
        assert!(several.contains("a (1), a (3)"), "{several}");
        assert_eq!(found("2").ok(), Some(2), "a number is a number");
        assert!(found("c").unwrap_err().to_string().contains("\"c\""));
    }
}
