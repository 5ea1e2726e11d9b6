//! `dlm sessions`.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use dlm_client::Servers;
use dlm_client::inspect::{self, ClusterSession, SessionStatus};
use serde::Serialize;

use crate::error::CommandError;
use crate::table::{Table, seconds};
use crate::{output, warning};

#[derive(Debug, Args)]
pub(crate) struct SessionsArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// All that is known of a session.
#[derive(Debug, Serialize)]
struct Session {
    #[serde(flatten)]
    cluster: ClusterSession,
    locks: u64,
    waiting: u64,
    operations: u64,
    streams: u32,
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &SessionsArguments,
) -> Result<(), CommandError> {
    let cluster = inspect::cluster(servers).await?;
    let status = inspect::status(servers).await?;
    let sessions = join(cluster.sessions, &status.sessions);
    let rendered = if arguments.json {
        output::json(&BTreeMap::from([("sessions", sessions)]))
    } else {
        text(&sessions)
    };
    output::write(None, &rendered)?;
    warning::incomplete(&status.coverage);
    Ok(())
}

fn join(cluster: Vec<ClusterSession>, counts: &[SessionStatus]) -> Vec<Session> {
    let counts: BTreeMap<u64, _> = counts.iter().map(|one| (one.session, one)).collect();
    let sessions = cluster.into_iter().map(|cluster| {
        let counts = counts.get(&cluster.session);
        Session {
            locks: counts.map_or(0, |one| one.locks),
            waiting: counts.map_or(0, |one| one.waiting),
            operations: counts.map_or(0, |one| one.operations),
            streams: counts.map_or(0, |one| one.streams),
            cluster,
        }
    });
    sessions.collect()
}

fn text(sessions: &[Session]) -> String {
    if sessions.is_empty() {
        return "No session.\n".into();
    }
    let mut table = Table::new(&[
        "<SESSION",
        ">NAME",
        ">STATE",
        "<LEASE",
        "<STREAMS",
        "<LOCKS",
        "<WAITING",
        "<MESSAGES",
        ">LOCKSPACES",
    ]);
    for each in sessions {
        let cluster = &each.cluster;
        table.row([
            cluster.session.to_string(),
            cluster.name.clone(),
            cluster.state.into(),
            cluster.lease_left_us.map_or_else(|| "-".into(), seconds),
            each.streams.to_string(),
            each.locks.to_string(),
            each.waiting.to_string(),
            each.operations.to_string(),
            cluster.lockspaces.join(", "),
        ]);
    }
    let mut text = table.to_string();
    for each in sessions {
        if let Some(death) = each.cluster.death {
            let (name, session) = (&each.cluster.name, each.cluster.session);
            writeln!(text, "{name} ({session}) is dead: {death}").expect("writing to a string");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_session_and_one_more_for_the_dead() {
        let cluster = [
            ClusterSession {
                session: 4,
                name: "node1".into(),
                state: "live",
                lease_left_us: Some(4_260_000),
                lockspaces: vec!["jobs".into(), "volume".into()],
                ..ClusterSession::default()
            },
            ClusterSession {
                session: 12,
                name: "node2".into(),
                state: "dead",
                death: Some("its lease ran out"),
                ..ClusterSession::default()
            },
        ];
        let counts = [SessionStatus {
            session: 4,
            locks: 1000,
            waiting: 1,
            operations: 77,
            streams: 3,
            ..SessionStatus::default()
        }];
        let expected = "\
SESSION  NAME   STATE  LEASE  STREAMS  LOCKS  WAITING  MESSAGES  LOCKSPACES
      4  node1  live   4.3 s        3   1000        1        77  jobs, volume
     12  node2  dead       -        0      0        0         0
node2 (12) is dead: its lease ran out
";
        assert_eq!(text(&join(cluster.to_vec(), &counts)), expected);
        assert_eq!(text(&[]), "No session.\n");
    }
}
