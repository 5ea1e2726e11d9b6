//! `dlm history`.

use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use clap::Args;
use dlm_client::events::{self, EventDocument, History};
use dlm_client::graph::Object;
use dlm_client::{ResourceName, Servers, inspect, names};
use serde::Serialize;

use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct HistoryArguments {
    /// The lockspace; one that is closed may be looked at, too.
    #[arg(value_name = "LOCKSPACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    lockspace: String,

    /// The resource as listings show it: a glock as "inode 0x102ab" or as 2/102ab, a byte as \xNN.
    #[arg(value_name = "RESOURCE", value_parser = Named)]
    resource: Candidates,

    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) const HELP: &str = "\
A server remembers the last 16 events of each of the 2048 resources on which
something happened last, since it serves their slots: what was before a slot
came to it is not known.

Example: what happened to a file's lock
  dlm history volume 'inode 0x102ab'";

/// The resources that may be meant, at least one, and the likelier first.
#[derive(Clone, Debug)]
struct Candidates(Vec<ResourceName>);

/// Reads them.
#[derive(Clone)]
struct Named;

impl clap::builder::TypedValueParser for Named {
    type Value = Candidates;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Candidates, clap::Error> {
        let names = names::names(value.as_bytes());
        if names.is_empty() {
            let why = "a resource's name has at most 64 bytes\n";
            let error = clap::Error::raw(clap::error::ErrorKind::ValueValidation, why);
            return Err(error.with_cmd(command));
        }
        Ok(Candidates(names))
    }

    fn parse(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: OsString,
    ) -> Result<Candidates, clap::Error> {
        self.parse_ref(command, argument, &value)
    }
}

/// What `--json` says.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    object: &'a Object,
    /// The server that masters it.
    server: u64,
    slot: u32,
    epoch: u32,
    /// Events that are not known any more.
    dropped: u64,
    events: Vec<EventDocument<'a>>,
}

pub(crate) async fn run(
    servers: &Servers,
    arguments: &HistoryArguments,
) -> Result<(), CommandError> {
    let (object, history) = find(servers, arguments).await?;
    let read = SystemTime::now();
    let rendered = if arguments.json {
        let events = history.events.iter();
        output::json(&Document {
            object: &object,
            server: history.server.0,
            slot: history.slot.number(),
            epoch: history.epoch.0,
            dropped: history.dropped,
            events: events
                .map(|event| EventDocument::new(event, read))
                .collect(),
        })
    } else {
        text(&object, &history, read)
    };
    output::write(None, &rendered)
}

/// Of the resources that may be meant, the first to which something happened; else the first.
async fn find(
    servers: &Servers,
    arguments: &HistoryArguments,
) -> Result<(Object, History), CommandError> {
    let mut found = None;
    for name in &arguments.resource.0 {
        let history = inspect::history(servers, &arguments.lockspace, name).await?;
        let happened = history.events.iter().any(|event| !event.kind.is_of_slot());
        let object = Object {
            lockspace: arguments.lockspace.clone(),
            name: name.clone(),
        };
        if happened {
            return Ok((object, history));
        }
        found.get_or_insert((object, history));
    }
    Ok(found.expect("at least one may be meant"))
}

fn text(object: &Object, history: &History, read: SystemTime) -> String {
    let (server, slot, epoch) = (history.server.0, history.slot.number(), history.epoch.0);
    let mut text = format!("{object}: slot {slot}, epoch {epoch}, at server {server}\n");
    if history.dropped > 0 {
        let _ = writeln!(
            text,
            "{} events before these are forgotten",
            history.dropped
        );
    }
    if history.events.is_empty() {
        text.push_str("Nothing is remembered of it.\n");
        return text;
    }
    let _ = writeln!(text, "{}", events::HEADER);
    for event in &history.events {
        let _ = writeln!(text, "{}", events::line(event, read));
    }
    text
}
