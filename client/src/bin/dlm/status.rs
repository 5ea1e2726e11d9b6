//! `dlm status`.

use std::fmt::Write;
use std::time::Duration;

use dlm_client::Servers;
use dlm_client::inspect::{self, ServerStatus};

use crate::cli::StatusArguments;
use crate::error::CommandError;
use crate::output;

pub(crate) async fn run(
    servers: &Servers,
    arguments: &StatusArguments,
) -> Result<(), CommandError> {
    let status = inspect::status(servers).await?;
    let rendered = if arguments.json {
        output::json(&status)
    } else {
        text(&servers.to_string(), &status)
    };
    output::write(None, &rendered)
}

fn text(endpoint: &str, status: &ServerStatus) -> String {
    let mut lines = String::new();
    write_text(&mut lines, endpoint, status).expect("writing to a string");
    lines
}

fn write_text(text: &mut String, endpoint: &str, status: &ServerStatus) -> std::fmt::Result {
    let uptime = Duration::from_micros(status.uptime_us).as_secs();
    let lockspaces = match &status.lockspaces[..] {
        [] => "none".into(),
        open => open.join(", "),
    };
    let (version, waiting) = (&status.version, status.waiting);
    let (locks, resources) = (status.locks, status.resources);
    writeln!(
        text,
        "server      {endpoint}, version {version}, up {uptime} s"
    )?;
    writeln!(text, "lockspaces  {lockspaces}")?;
    writeln!(
        text,
        "locks       {locks} on {resources} resources, {waiting} waiting"
    )?;
    if status.sessions.is_empty() {
        return writeln!(text, "sessions    none");
    }
    writeln!(text)?;
    writeln!(
        text,
        "{:>7}  {:20} {:>9} {:>9} {:>12}",
        "SESSION", "NAME", "LOCKS", "WAITING", "OPERATIONS"
    )?;
    for each in &status.sessions {
        let (session, name) = (each.session, &each.name);
        let (locks, waiting, operations) = (each.locks, each.waiting, each.operations);
        writeln!(
            text,
            "{session:7}  {name:20} {locks:9} {waiting:9} {operations:12}"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dlm_client::inspect::SessionStatus;

    use super::*;

    #[test]
    fn a_line_for_each_session() {
        let mut status = ServerStatus {
            version: "1.2.3".into(),
            uptime_us: 61_000_000,
            lockspaces: vec!["jobs".into(), "volume".into()],
            resources: 3,
            locks: 5,
            waiting: 1,
            ..ServerStatus::default()
        };
        let said = text("host:1", &status);
        assert!(said.ends_with("sessions    none\n"), "{said}");
        status.sessions.push(SessionStatus {
            session: 4,
            name: "node1".into(),
            locks: 5,
            waiting: 1,
            operations: 77,
        });
        let expected = "\
server      host:1, version 1.2.3, up 61 s
lockspaces  jobs, volume
locks       5 on 3 resources, 1 waiting

SESSION  NAME                     LOCKS   WAITING   OPERATIONS
      4  node1                        5         1           77
";
        assert_eq!(text("host:1", &status), expected);
    }
}
