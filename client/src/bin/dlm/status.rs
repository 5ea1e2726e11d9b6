//! `dlm status`.

use std::fmt::{Display, Write};

use dlm_client::Servers;
use dlm_client::inspect::{self, ClusterServer, ClusterStatus, InspectError, SLOTS, ServerStatus};
use serde::Serialize;

use crate::cli::StatusArguments;
use crate::error::CommandError;
use crate::server::state;
use crate::table::{Table, seconds};
use crate::{output, warning};

/// What `--json` says.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a ServerStatus,
    cluster: Option<&'a ClusterStatus>,
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &StatusArguments,
) -> Result<(), CommandError> {
    let status = inspect::status(servers).await?;
    let cluster = match inspect::cluster(servers).await {
        Ok(cluster) => Some(cluster),
        // A server of an earlier version, which is alone.
        Err(InspectError::Unknown { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let rendered = if arguments.json {
        output::json(&Document {
            status: &status,
            cluster: cluster.as_ref(),
        })
    } else {
        text(&servers.to_string(), &status, cluster.as_ref())
    };
    output::write(None, &rendered)?;
    warning::incomplete(&status.coverage);
    Ok(())
}

fn text(asked: &str, status: &ServerStatus, cluster: Option<&ClusterStatus>) -> String {
    let mut lines = String::new();
    write_text(&mut lines, (asked, status), cluster).expect("writing to a string");
    lines
}

fn write_text(
    text: &mut String,
    (asked, status): (&str, &ServerStatus),
    cluster: Option<&ClusterStatus>,
) -> std::fmt::Result {
    match cluster {
        None => {
            let (version, uptime) = (&status.version, seconds(status.uptime_us));
            writeln!(text, "server      {asked}, version {version}, up {uptime}")?;
        }
        Some(cluster) => write_cluster(text, cluster)?,
    }
    let lockspaces = match &status.lockspaces[..] {
        [] => "none".into(),
        open => open.join(", "),
    };
    writeln!(text, "lockspaces  {lockspaces}")?;
    let (locks, resources, waiting) = (status.locks, status.resources, status.waiting);
    writeln!(
        text,
        "locks       {locks} on {resources} resources, {waiting} waiting"
    )?;
    if status.sessions.is_empty() {
        writeln!(text, "sessions    none")?;
    } else {
        let dead = status.sessions.iter().filter(|one| one.dead).count();
        let live = status.sessions.len() - dead;
        writeln!(text, "sessions    {live} live, {dead} dead")?;
    }
    if let Some(cluster) = cluster {
        write!(text, "\n{}", servers(cluster))?;
        write_blocked(text, cluster)?;
    }
    if !status.sessions.is_empty() {
        write!(text, "\n{}", sessions(status))?;
    }
    Ok(())
}

fn write_cluster(text: &mut String, cluster: &ClusterStatus) -> std::fmt::Result {
    let view = cluster.servers.iter();
    let view = view.filter(|one| one.server == cluster.server);
    let term = view
        .filter_map(|one| one.report.as_ref())
        .map(|one| one.term);
    let term = term.max().unwrap_or_default();
    let (count, applied) = (cluster.servers.len(), cluster.applied);
    let leads = match cluster.leader {
        Some(leader) => format!("server {leader} leads"),
        None => "nobody leads".into(),
    };
    let servers = if count == 1 { "server" } else { "servers" };
    writeln!(
        text,
        "cluster     {count} {servers}, {leads}; term {term}, entry {applied}"
    )?;
    let slots = &cluster.slots;
    let mut said = format!("{} of {SLOTS} served", slots.serving);
    for (count, what) in [
        (slots.recovering, "recover"),
        (slots.moving, "move"),
        (slots.masterless, "have no master"),
    ] {
        if count > 0 {
            write!(said, ", {count} {what}")?;
        }
    }
    writeln!(text, "slots       {said}")
}

fn servers(cluster: &ClusterStatus) -> Table {
    let mut table = Table::new(&[
        "<SERVER",
        ">ROLE",
        ">STATE",
        ">ADDRESS",
        "<UP",
        "<LEASE",
        "<LAG",
        "<SLOTS",
        "<BUSY",
        "<SESSIONS",
        "<LOCKS",
        "<WAITING",
        ">VERSION",
    ]);
    for each in &cluster.servers {
        let report = each.report.as_ref();
        // Of the leader's own process and log it counts as of the others.
        let lease = each
            .lease_left_us
            .or_else(|| report.and_then(|it| it.lease_left_us));
        table.row([
            each.server.to_string(),
            each.role.into(),
            state(each, cluster.leader).into(),
            address(each),
            or_none(report.map(|it| seconds(it.uptime_us))),
            or_none(lease.map(seconds)),
            or_none(each.lag),
            each.slots.to_string(),
            or_none(report.map(|it| it.recovering + it.arriving + it.leaving + it.broken)),
            or_none(report.map(|it| it.streams)),
            or_none(report.map(|it| it.locks)),
            or_none(report.map(|it| it.waiting)),
            or_none(report.map(|it| &it.version)),
        ]);
    }
    table
}

fn address(server: &ClusterServer) -> String {
    server
        .endpoint
        .clone()
        .unwrap_or_else(|| server.peer_endpoint.clone())
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

fn write_blocked(text: &mut String, cluster: &ClusterStatus) -> std::fmt::Result {
    if cluster.blocked.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nwhat does not go on:")?;
    for blocked in &cluster.blocked {
        writeln!(text, "  {blocked}")?;
    }
    Ok(())
}

fn sessions(status: &ServerStatus) -> Table {
    let mut table = Table::new(&[
        "<SESSION",
        ">NAME",
        ">STATE",
        "<LOCKS",
        "<WAITING",
        "<MESSAGES",
    ]);
    for each in &status.sessions {
        table.row([
            each.session.to_string(),
            each.name.clone(),
            if each.dead { "dead" } else { "live" }.into(),
            each.locks.to_string(),
            each.waiting.to_string(),
            each.operations.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use dlm_client::inspect::{Blocked, Named, Report, SessionStatus, Slots};

    use super::*;

    fn status() -> ServerStatus {
        ServerStatus {
            version: "1.2.3".into(),
            uptime_us: 61_000_000,
            lockspaces: vec!["jobs".into(), "volume".into()],
            resources: 3,
            locks: 5,
            waiting: 1,
            sessions: vec![SessionStatus {
                session: 4,
                name: "node1".into(),
                locks: 5,
                waiting: 1,
                operations: 77,
                ..SessionStatus::default()
            }],
            ..ServerStatus::default()
        }
    }

    #[test]
    fn a_server_that_is_alone_has_a_line_for_each_session() {
        let expected = "\
server      host:1, version 1.2.3, up 61.0 s
lockspaces  jobs, volume
locks       5 on 3 resources, 1 waiting
sessions    1 live, 0 dead

SESSION  NAME   STATE  LOCKS  WAITING  MESSAGES
      4  node1  live       5        1        77
";
        assert_eq!(text("host:1", &status(), None), expected);
        let nobody = ServerStatus {
            sessions: Vec::new(),
            ..status()
        };
        let said = text("host:1", &nobody, None);
        assert!(said.ends_with("sessions    none\n"), "{said}");
    }

    #[test]
    fn a_cluster_has_a_line_for_each_server_and_for_what_waits() {
        let server = |server, report: Option<Report>| ClusterServer {
            server,
            role: "voter",
            peer_endpoint: format!("10.0.0.{server}:7171"),
            endpoint: Some(format!("10.0.0.{server}:7170")),
            incarnation: Some(7),
            slots: 86,
            lease_left_us: Some(310_000),
            lag: (server != 1).then_some(0),
            report,
            ..ClusterServer::default()
        };
        let report = Report {
            version: "1.2.3".into(),
            uptime_us: 7_300_000_000,
            term: 7,
            lease_left_us: Some(250_000),
            recovering: 2,
            streams: 1,
            locks: 5,
            waiting: 1,
            ..Report::default()
        };
        let mut servers = vec![server(1, Some(report)), server(2, None)];
        servers[1].incarnation = None;
        let cluster = ClusterStatus {
            leader: Some(1),
            server: 1,
            applied: 1234,
            servers,
            slots: Slots {
                serving: 254,
                recovering: 2,
                ..Slots::default()
            },
            blocked: vec![Blocked::Reassert {
                session: Named {
                    number: 4,
                    name: "node1".into(),
                },
                slots: 2,
            }],
            ..ClusterStatus::default()
        };
        let expected = "\
cluster     2 servers, server 1 leads; term 7, entry 1234
slots       254 of 256 served, 2 recover
lockspaces  jobs, volume
locks       5 on 3 resources, 1 waiting
sessions    1 live, 0 dead

SERVER  ROLE   STATE  ADDRESS         UP   LEASE  LAG  SLOTS  BUSY  SESSIONS  LOCKS  WAITING  VERSION
     1  voter  leads  10.0.0.1:7170  2 h  310 ms    -     86     2         1      5        1  1.2.3
     2  voter  down   10.0.0.2:7170    -  310 ms    0     86     -         -      -        -  -

what does not go on:
  2 slots wait for node1 (4) to say what it holds; it is evicted if it does not

SESSION  NAME   STATE  LOCKS  WAITING  MESSAGES
      4  node1  live       5        1        77
";
        assert_eq!(text("host:1", &status(), Some(&cluster)), expected);
    }
}
