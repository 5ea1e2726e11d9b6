//! `dlm fault`.

use std::fmt::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use dlm_client::Servers;
use dlm_client::fault::{
    self, ActiveFault, FAULT_DELAY_US_MAX, Fault, FaultOptions, Member, Missed,
};
use serde::Serialize;

use crate::duration;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct FaultArguments {
    #[command(subcommand)]
    action: Action,
}

pub(crate) const HELP: &str = "\
Members:
  2          a server of the cluster
  node1      a session, by its name
  client     every session
  session:2  the session that is called so

A fault is put in at the server that is asked, which passes it on to all others; each enforces its own side of
a link, and forgets its faults when it ends. One of the same kind on the same link takes the place of the one
before. Of several kinds the worst counts: drop, partition, stall, delay. With --one-way the other direction
flows, and so do TCP's acknowledgements of what is held back; nobody can connect over a link that is cut or
drops in either direction.

Servers do this only where they were started with --allow-faults.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Cut a link: silence, and nobody can connect. What waited goes on when it is healed.
    Partition(LinkArguments),
    /// Lose what is sent over a link. A connection that lost bytes is closed when it is healed.
    Drop(LinkArguments),
    /// Let what is sent over a link arrive later, in its order.
    Delay(DelayArguments),
    /// Let nothing through as if the process at the other end were stopped: one can connect to it.
    Stall(LinkArguments),
    /// List the faults that the server has.
    List(ListArguments),
    /// Take all faults away, or those between two members.
    Heal(HealArguments),
}

#[derive(Debug, Args)]
struct LinkArguments {
    /// Between whom: two members, one of them a server.
    #[arg(value_name = "A,B", value_parser = link)]
    link: Link,

    #[command(flatten)]
    options: OptionArguments,
}

#[derive(Debug, Args)]
struct DelayArguments {
    /// Between whom: two members, one of them a server.
    #[arg(value_name = "A,B", value_parser = link)]
    link: Link,

    /// How much later (50ms, 2s), at most 1m.
    #[arg(value_name = "TIME", value_parser = delay)]
    delay: Duration,

    #[command(flatten)]
    options: OptionArguments,
}

#[derive(Debug, Args)]
struct OptionArguments {
    /// Only what goes from A to B.
    #[arg(long)]
    one_way: bool,

    /// Heal it after so long (500ms, 10s, 2m), by the clock of each server.
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    lasts: Option<Duration>,

    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct HealArguments {
    /// Only what is between these two, both ways.
    #[arg(value_name = "A,B", value_parser = link)]
    link: Option<Link>,

    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// What was given as `A,B`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    from: Member,
    to: Member,
}

fn link(text: &str) -> Result<Link, String> {
    let ends: Vec<&str> = text.split(',').collect();
    let [from, to] = ends[..] else {
        return Err("give two members: 1,2".into());
    };
    let member = |text: &str| -> Result<Member, String> {
        text.parse()
            .map_err(|error: fault::WireError| error.to_string())
    };
    let link = Link {
        from: member(from)?,
        to: member(to)?,
    };
    if link.from == link.to {
        return Err("give two members that differ".into());
    }
    let is_server = |member: &Member| matches!(member, Member::Server(_));
    if !is_server(&link.from) && !is_server(&link.to) {
        return Err("sessions do not talk to each other; one of the two is a server".into());
    }
    Ok(link)
}

fn delay(text: &str) -> Result<Duration, String> {
    let delay = duration::parse(text).map_err(|error| error.to_string())?;
    if delay > Duration::from_micros(FAULT_DELAY_US_MAX) {
        return Err("give at most 1m".into());
    }
    Ok(delay)
}

/// What `--json` says of what was done.
#[derive(Serialize)]
struct Done {
    /// The servers that did not take it.
    missed: Vec<Missed>,
}

#[derive(Serialize)]
struct Listed {
    faults: Vec<ActiveFault>,
}

pub(crate) async fn run(servers: &Servers, arguments: &FaultArguments) -> Result<(), CommandError> {
    let inject = async |link: &Link, fault: Fault, options: &OptionArguments| {
        let injection = FaultOptions {
            from: link.from.clone(),
            to: link.to.clone(),
            one_way: options.one_way,
            fault,
            lasts: options.lasts,
        };
        let missed = fault::inject(servers, injection).await?;
        let arrow = if options.one_way { "->" } else { "<->" };
        let (from, to, kind) = (&link.from, &link.to, words(fault));
        let lasts = options.lasts.map(|lasts| format!("for {lasts:?}"));
        let lasts = lasts.unwrap_or_else(|| "until healed".into());
        let said = format!("{from} {arrow} {to}: {kind}, {lasts}.\n");
        done(options.json, said, missed)
    };
    match &arguments.action {
        Action::Partition(LinkArguments { link, options }) => {
            inject(link, Fault::Cut, options).await
        }
        Action::Drop(LinkArguments { link, options }) => inject(link, Fault::Drop, options).await,
        Action::Stall(LinkArguments { link, options }) => inject(link, Fault::Stall, options).await,
        Action::Delay(arguments) => {
            // No longer than a minute.
            let us = arguments.delay.as_micros() as u64;
            inject(&arguments.link, Fault::Delay { us }, &arguments.options).await
        }
        Action::List(ListArguments { json }) => {
            let faults = fault::list(servers).await?;
            let rendered = if *json {
                output::json(&Listed { faults })
            } else {
                text(&faults)
            };
            output::write(None, &rendered)
        }
        Action::Heal(HealArguments { link, json }) => {
            let pair = link.clone().map(|link| (link.from, link.to));
            let missed = fault::heal(servers, pair).await?;
            let said = match link {
                None => "All faults are healed.\n".into(),
                Some(Link { from, to }) => format!("{from} <-> {to}: healed.\n"),
            };
            done(*json, said, missed)
        }
    }
}

/// Says what was done, and fails where a server did not take it: the fault may be there in half.
fn done(json: bool, said: String, missed: Vec<Missed>) -> Result<(), CommandError> {
    let names = missed
        .iter()
        .map(|missed| format!("{} ({})", missed.server, missed.why));
    let names: Vec<String> = names.collect();
    let rendered = if json {
        output::json(&Done { missed })
    } else {
        said
    };
    output::write(None, &rendered)?;
    if names.is_empty() {
        return Ok(());
    }
    let servers = names.join(", ");
    Err(CommandError::FaultMissed { servers })
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::Cut => "cut".into(),
        Fault::Drop => "everything is lost".into(),
        Fault::Stall => "stalled".into(),
        Fault::Delay { us } => format!("{:?} late", Duration::from_micros(us)),
    }
}

fn text(faults: &[ActiveFault]) -> String {
    if faults.is_empty() {
        return "There are no faults.\n".into();
    }
    let mut lines = format!(
        "{:12} {:12} {:6} {:>9} {:>12}\n",
        "FROM", "TO", "FAULT", "LATER", "LEFT"
    );
    let time = |us: Option<u64>| us.map(|us| format!("{:?}", Duration::from_micros(us)));
    for each in faults {
        let (from, to, fault) = (&each.from, &each.to, each.fault);
        let later = time(each.delay_us).unwrap_or_else(|| "-".into());
        let left = time(each.left_us).unwrap_or_else(|| "until healed".into());
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{from:12} {to:12} {fault:6} {later:>9} {left:>12}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_between_two_and_one_is_a_server() {
        let two = link("1,node1").unwrap();
        assert_eq!(
            (two.from.to_string(), two.to.to_string()),
            ("1".into(), "node1".into())
        );
        for wrong in ["", "1", "1,", "1,2,3", "1,1", "a,b", "client,a", "0,1"] {
            assert!(link(wrong).is_err(), "{wrong}");
        }
        assert!(delay("1m").is_ok() && delay("61s").is_err() && delay("5").is_err());
    }

    #[test]
    fn a_line_for_each_direction() {
        let faults = [
            ActiveFault {
                from: "1".into(),
                to: "2".into(),
                fault: "delay",
                delay_us: Some(50_000),
                left_us: Some(1_500_000),
            },
            ActiveFault {
                from: "node1".into(),
                to: "1".into(),
                fault: "cut",
                delay_us: None,
                left_us: None,
            },
        ];
        let expected = "\
FROM         TO           FAULT      LATER         LEFT
1            2            delay       50ms         1.5s
node1        1            cut            - until healed
";
        assert_eq!(text(&faults), expected);
        assert_eq!(text(&[]), "There are no faults.\n");
    }
}
