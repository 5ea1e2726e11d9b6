//! `dlm server`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use dlm_client::Servers;
use dlm_client::inspect::{self, ClusterServer, ClusterStatus};

use crate::error::CommandError;
use crate::output;
use crate::table::Table;

#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Add a server that was started with `dlm-server --join`.
    ///
    /// It gets the log, then a vote, then its share of the slots; `dlm status` shows how far it is.
    Add(AddArguments),
    /// Remove a server. Its slots go to the others first; no lock is lost.
    ///
    /// A server that is lost for good is removed in the same way: its slots are recovered from the clients.
    Remove(RemoveArguments),
    /// List the servers.
    List(ListArguments),
}

#[derive(Debug, Args)]
struct AddArguments {
    /// The number that it has for the cluster's life, from 1.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    server: u64,
    /// Where the other servers find it.
    #[arg(value_name = "HOST:PORT", value_parser = peer)]
    peer_endpoint: String,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// Its number, as `dlm server list` shows it.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    server: u64,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// Checked here, so that a mistake in it is a usage error like any other.
fn peer(text: &str) -> Result<String, String> {
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if has_port && !text.contains("//") {
        Ok(text.into())
    } else {
        Err("a host and a port are needed, such as 10.0.0.4:7170".into())
    }
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &ServerArguments,
) -> Result<(), CommandError> {
    match &arguments.command {
        ServerCommand::Add(AddArguments {
            server,
            peer_endpoint,
        }) => {
            inspect::add_server(servers, *server, peer_endpoint).await?;
            let said = format!(
                "Server {server} is added; it gets the log, a vote and its share of the slots. dlm status \
                 shows how far it is.\n"
            );
            output::write(None, &said)
        }
        ServerCommand::Remove(RemoveArguments { server }) => {
            inspect::remove_server(servers, *server).await?;
            let said = format!(
                "Server {server} is leaving; its slots go to the others. Stop it when dlm server list does \
                 not show it any more.\n"
            );
            output::write(None, &said)
        }
        ServerCommand::List(ListArguments { json }) => {
            let cluster = inspect::cluster(servers).await?;
            let rendered = if *json {
                output::json(&BTreeMap::from([("servers", &cluster.servers)]))
            } else {
                list(&cluster)
            };
            output::write(None, &rendered)
        }
    }
}

fn list(cluster: &ClusterStatus) -> String {
    let mut table = Table::new(&[
        "<SERVER",
        ">ROLE",
        ">STATE",
        ">PEERS FIND IT AT",
        ">CLIENTS AT",
    ]);
    for each in &cluster.servers {
        table.row([
            each.server.to_string(),
            each.role.into(),
            state(each, cluster.leader).into(),
            each.peer_endpoint.clone(),
            each.endpoint.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    table.to_string()
}

/// How a server is.
pub(crate) fn state(server: &ClusterServer, leader: Option<u64>) -> &'static str {
    match (&server.report, &server.incarnation) {
        (_, None) => "down",
        (None, Some(_)) => "silent",
        (Some(_), Some(_)) if leader == Some(server.server) => "leads",
        (Some(report), Some(_)) if report.lease_left_us.is_none() => "no lease",
        (Some(_), Some(_)) => "follows",
    }
}

#[cfg(test)]
mod tests {
    use dlm_client::inspect::Report;

    use super::*;

    #[test]
    fn a_line_for_each_server() {
        let server = |server, endpoint: Option<&str>| ClusterServer {
            server,
            role: "voter",
            peer_endpoint: format!("10.0.0.{server}:7171"),
            endpoint: endpoint.map(String::from),
            incarnation: endpoint.map(|_| 9),
            ..ClusterServer::default()
        };
        let report = |lease_left_us| {
            Some(Report {
                lease_left_us,
                ..Report::default()
            })
        };
        let mut servers = vec![
            server(1, Some("10.0.0.1:7170")),
            server(2, Some("10.0.0.2:7170")),
            server(3, Some("10.0.0.3:7170")),
            server(4, None),
        ];
        servers[0].report = report(Some(1));
        servers[1].report = report(None);
        let cluster = ClusterStatus {
            leader: Some(1),
            servers,
            ..ClusterStatus::default()
        };
        let expected = "\
SERVER  ROLE   STATE     PEERS FIND IT AT  CLIENTS AT
     1  voter  leads     10.0.0.1:7171     10.0.0.1:7170
     2  voter  no lease  10.0.0.2:7171     10.0.0.2:7170
     3  voter  silent    10.0.0.3:7171     10.0.0.3:7170
     4  voter  down      10.0.0.4:7171     -
";
        assert_eq!(list(&cluster), expected);
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        assert_eq!(peer("node4:7170"), Ok("node4:7170".into()));
        for bad in ["node4", ":7170", "node4:0", "http://node4:7170", "node4:x"] {
            assert!(peer(bad).is_err(), "{bad}");
        }
    }
}
