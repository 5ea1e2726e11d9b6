//! `dlm lockspaces`.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use dlm_client::Servers;
use dlm_client::inspect::{self, LockspaceSession, LockspaceStatus};

use crate::error::CommandError;
use crate::{output, warning};

#[derive(Debug, Args)]
pub(crate) struct LockspacesArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// The most sessions that are named on a line.
const SESSIONS_SHOWN_MAX: usize = 4;

pub(crate) async fn run(
    servers: &Servers,
    arguments: &LockspacesArguments,
) -> Result<(), CommandError> {
    let (lockspaces, coverage) = inspect::lockspaces_seen(servers).await?;
    let rendered = if arguments.json {
        output::json(&BTreeMap::from([("lockspaces", lockspaces)]))
    } else {
        text(&lockspaces)
    };
    output::write(None, &rendered)?;
    warning::incomplete(&coverage);
    Ok(())
}

fn text(lockspaces: &[LockspaceStatus]) -> String {
    if lockspaces.is_empty() {
        return "No lockspace is open.\n".into();
    }
    let mut lines = String::new();
    write_text(lockspaces, &mut lines).expect("writing to a string");
    lines
}

fn write_text(lockspaces: &[LockspaceStatus], to: &mut String) -> std::fmt::Result {
    let names = lockspaces.iter().map(|each| each.name.chars().count());
    let wide = names.max().unwrap_or_default().max("NAME".len());
    writeln!(
        to,
        "{:>4}  {:wide$}  {:>5}  {:9} {:>9} {:>9} {:>7} {:>7}  SESSIONS",
        "ID", "NAME", "VALUE", "DEADLOCKS", "RESOURCES", "LOCKS", "WAITING", "ORPHANS"
    )?;
    for each in lockspaces {
        let (id, name, value) = (each.id, &each.name, each.value_length);
        let deadlocks = if each.breaks_deadlocks {
            "broken"
        } else {
            "stay"
        };
        let (resources, locks) = (each.resources, each.locks);
        let (waiting, orphans) = (each.waiting, each.orphans);
        let sessions = sessions(&each.sessions);
        writeln!(
            to,
            "{id:>4}  {name:wide$}  {value:>5}  {deadlocks:9} {resources:>9} {locks:>9} {waiting:>7} \
             {orphans:>7}  {sessions}"
        )?;
    }
    Ok(())
}

fn sessions(sessions: &[LockspaceSession]) -> String {
    let shown = sessions.iter().take(SESSIONS_SHOWN_MAX);
    let shown: Vec<_> = shown
        .map(|each| format!("{} ({})", each.name, each.session))
        .collect();
    let more = match sessions.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_lockspace() {
        assert_eq!(text(&[]), "No lockspace is open.\n");
        let session = |session| LockspaceSession {
            session,
            name: format!("node{session}"),
        };
        let volume = LockspaceStatus {
            name: "volume".into(),
            id: 1,
            value_length: 32,
            breaks_deadlocks: false,
            sessions: (1..=6).map(session).collect(),
            resources: 3,
            locks: 5,
            waiting: 1,
            orphans: 2,
        };
        let jobs = LockspaceStatus {
            name: "jobs".into(),
            id: 12,
            breaks_deadlocks: true,
            sessions: vec![session(9)],
            ..volume.clone()
        };
        let expected = "  ID  NAME    VALUE  DEADLOCKS RESOURCES     LOCKS WAITING ORPHANS  SESSIONS
   1  volume     32  stay              3         5       1       2  node1 (1), node2 (2), node3 (3), node4 (4) and 2 more
  12  jobs       32  broken            3         5       1       2  node9 (9)
";
        assert_eq!(text(&[volume, jobs]), expected);
    }
}
