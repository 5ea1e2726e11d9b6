//! `dlm caches`.

use std::fmt::Write;

use clap::Args;
use dlm_client::Servers;
use dlm_client::inspect::{self, Cache, Caches};
use serde::Serialize;

use crate::error::CommandError;
use crate::output;
use crate::table::Table;

#[derive(Debug, Args)]
pub(crate) struct CachesArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) const HELP: &str = "\
Columns:
  GLOCKS     glocks that the node has cached now
  REQUESTS   how often its tasks asked for one since it began
  HITS       how many of those it granted at once, without a message
  DEMOTIONS  messages with which it gave something up
  CALLBACKS  how often it was told that another one wants what it has

Only sessions that have asked for a glock are listed; raw locks, as those of
dlm lock, are not cached.";

/// What `--json` says of each.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    cache: &'a Cache,
    hit_rate: Option<f64>,
}

#[derive(Serialize)]
struct Document<'a> {
    caches: Vec<Listed<'a>>,
    silent: &'a [inspect::SilentSession],
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &CachesArguments,
) -> Result<(), CommandError> {
    let all = inspect::caches(servers).await?;
    let rendered = if arguments.json {
        let listed = |cache| Listed {
            cache,
            hit_rate: Cache::hit_rate(cache),
        };
        output::json(&Document {
            caches: all.caches.iter().map(listed).collect(),
            silent: &all.silent,
        })
    } else {
        text(&all)
    };
    output::write(None, &rendered)
}

fn text(all: &Caches) -> String {
    let mut table = Table::new(&[
        "<SESSION",
        ">NAME",
        ">LOCKSPACE",
        "<GLOCKS",
        "<REQUESTS",
        "<HITS",
        "<DEMOTIONS",
        "<CALLBACKS",
    ]);
    for each in &all.caches {
        table.row([
            each.session.to_string(),
            each.session_name.clone(),
            each.lockspace.clone(),
            each.glocks.to_string(),
            each.requests.to_string(),
            percent(each.hit_rate()),
            each.demotions.to_string(),
            each.callbacks.to_string(),
        ]);
    }
    let mut text = if all.caches.is_empty() {
        "No session caches glocks.\n".to_owned()
    } else {
        table.to_string()
    };
    for one in &all.silent {
        let _ = writeln!(
            text,
            "{} ({}) did not answer in time",
            one.name, one.session
        );
    }
    text
}

/// A part of a whole, for people: never 100 % where something is missing.
pub(crate) fn percent(part: Option<f64>) -> String {
    part.map_or_else(
        || "-".to_owned(),
        |part| format!("{:.1} %", (part * 1000.0).floor() / 10.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_cache_and_one_more_for_the_silent() {
        let cache = Cache {
            session: 4,
            session_name: "node1".into(),
            lockspace: "volume".into(),
            glocks: 8,
            requests: 30_000,
            hits: 29_999,
            demotions: 17,
            callbacks: 12,
        };
        let idle = Cache {
            session: 12,
            session_name: "node2".into(),
            lockspace: "volume".into(),
            ..Cache::default()
        };
        let silent = inspect::SilentSession {
            session: 13,
            name: "node3".into(),
        };
        let all = Caches {
            caches: vec![cache, idle],
            silent: vec![silent],
        };
        let expected = "\
SESSION  NAME   LOCKSPACE  GLOCKS  REQUESTS    HITS  DEMOTIONS  CALLBACKS
      4  node1  volume          8     30000  99.9 %         17         12
     12  node2  volume          0         0       -          0          0
node3 (13) did not answer in time
";
        assert_eq!(text(&all), expected);
        assert_eq!(text(&Caches::default()), "No session caches glocks.\n");
        assert_eq!(percent(Some(1.0)), "100.0 %");
    }
}
