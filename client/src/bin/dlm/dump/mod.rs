//! `dlm dump`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dlm_client::Servers;
use dlm_client::inspect::dump::{DlmDump, DlmFile, View};
use dlm_client::inspect::{self, LockspaceStatus, NodeGlocks};

use crate::error::CommandError;
use crate::output::Output;
use crate::warning;

mod document;
mod tree;

#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Dlm, conflicts_with = "json")]
    format: Format,

    /// The same as `--format json`.
    #[arg(long)]
    json: bool,

    /// Which of fs/dlm's files, with `--format dlm`.
    #[arg(long, value_enum, default_value_t = WhichFile::Locks)]
    file: WhichFile,

    /// The lockspace; it may be left out where only one is open, and where several can be written.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    lockspace: Option<String>,

    /// As this node sees it, a session's number or its name: its own glocks, and the resources that it has a
    /// lock on as if it were their master.
    #[arg(long, value_name = "NUMBER|NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node: Option<String>,

    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write all of gfs2's and fs/dlm's files under this directory, as they lie in debugfs: one node's with
    /// `--node`, otherwise each node's in a directory under its name.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["format", "json", "file", "output"])]
    tree: Option<PathBuf>,
}

pub(crate) const HELP: &str = "\
Tasks have the numbers that their sessions give them, and these stand where a
kernel has processes. glocktop looks processes up: give it an empty /proc, too.

Example: glocktop on what node1 sees
  dlm dump --tree /tmp/debug --node node1
  unshare -m sh -c 'mount --bind /tmp/debug /sys/kernel/debug
    mount -t tmpfs none /proc
    echo debugfs /sys/kernel/debug debugfs rw 0 0 >/proc/mounts
    glocktop -n 1'";

/// How a dump is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As fs/dlm's files in debugfs.
    Dlm,
    /// As gfs2's `glocks` in debugfs, with a line `@ node` before each node's unless `--node` names one.
    Gfs2,
    /// All of it as one document.
    Json,
}

/// Which of a lockspace's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichFile {
    /// A row for each lock, as `dlm_tool lockdebug` reads it.
    Locks,
    /// Rows for resources, value blocks and locks.
    All,
    /// A row for each lock that waits or converts.
    Waiters,
    /// For people.
    Human,
}

impl WhichFile {
    const fn file(self) -> DlmFile {
        match self {
            Self::Locks => DlmFile::Locks,
            Self::All => DlmFile::All,
            Self::Waiters => DlmFile::Waiters,
            Self::Human => DlmFile::Human,
        }
    }
}

pub(crate) async fn run(servers: &Servers, arguments: &DumpArguments) -> Result<(), CommandError> {
    let lockspaces = inspect::lockspaces(servers).await?;
    let named = arguments.lockspace.as_ref();
    let lockspaces: Vec<_> = lockspaces
        .into_iter()
        .filter(|each| named.is_none_or(|name| *name == each.name))
        .collect();
    if let (Some(name), []) = (named, &lockspaces[..]) {
        return Err(CommandError::NoLockspace { name: name.clone() });
    }
    let node = match &arguments.node {
        None => None,
        Some(node) => {
            let status = inspect::status(servers).await?;
            Some(crate::purge::find(node, &status.sessions)?.clone())
        }
    };
    let session = node.as_ref().map(|node| node.session);
    if let Some(directory) = &arguments.tree {
        return tree::write(servers, directory, &lockspaces, node.as_ref()).await;
    }
    let format = if arguments.json {
        Format::Json
    } else {
        arguments.format
    };
    if format == Format::Json {
        let output = Output::open(arguments.output.as_deref())?;
        return document::write(servers, named.map(String::as_str), session, output).await;
    }
    if lockspaces.is_empty() {
        return Err(CommandError::NoLockspaces);
    }
    // A file is of one lockspace. What has lines between the nodes may have several.
    let only = match (&lockspaces[..], format, session) {
        ([only], ..) => Some(&only.name[..]),
        (_, Format::Gfs2, None) => None,
        _ => return Err(several(&lockspaces)),
    };
    let output = Output::open(arguments.output.as_deref())?;
    match (format, only) {
        (Format::Dlm, Some(lockspace)) => {
            let view = session.map_or(View::Cluster, View::Session);
            dlm(servers, lockspace, (arguments.file.file(), view), output).await
        }
        _ => gfs2(servers, only, session, output).await,
    }
}

fn several(lockspaces: &[LockspaceStatus]) -> CommandError {
    let names: Vec<_> = lockspaces.iter().map(|each| &each.name[..]).collect();
    let names = names.join(", ");
    CommandError::SeveralLockspaces { names }
}

async fn dlm(
    servers: &Servers,
    lockspace: &str,
    (file, view): (DlmFile, View),
    mut output: Output,
) -> Result<(), CommandError> {
    let mut locks = inspect::locks(servers, Some(lockspace)).await?;
    let mut text = String::new();
    let mut dump = DlmDump::begin(file, view, &mut text);
    while let Some(resource) = locks.next_whole().await? {
        dump.resource(&resource, locks.uptime_us(), &mut text);
        output.text(&text)?;
        text.clear();
    }
    output.text(&text)?;
    output.finish()?;
    warning::incomplete(locks.coverage());
    Ok(())
}

async fn gfs2(
    servers: &Servers,
    lockspace: Option<&str>,
    session: Option<u64>,
    mut output: Output,
) -> Result<(), CommandError> {
    let mut glocks = inspect::glocks(servers, lockspace, session).await?;
    let mut last = None;
    while let Some(page) = glocks.next_page().await? {
        let mut text = String::new();
        let whose = (page.lockspace.clone(), page.session);
        if session.is_none() && last.as_ref() != Some(&whose) {
            let (name, number, lockspace) = (&page.session_name, page.session, &page.lockspace);
            text = format!("@ {name} (session {number}), {lockspace}\n");
        }
        last = Some(whose);
        write_glocks(&page, &mut text);
        output.text(&text)?;
    }
    output.finish()
}

/// The lines of a page; that a session did not answer is said to people, and to no file.
fn write_glocks(page: &NodeGlocks, to: &mut String) {
    for glock in &page.glocks {
        glock.write(to).expect("writing to a string");
        if glock.holders_left_out > 0 {
            let (name, count) = (glock.dump.name, glock.holders_left_out);
            eprintln!("dlm: {count} more holders of glock {name} are left out");
        }
    }
    if page.silent {
        let (name, number, lockspace) = (&page.session_name, page.session, &page.lockspace);
        eprintln!(
            "dlm: {name} (session {number}) does not say what glocks it has in {lockspace}; \
             is it stopped, or older?"
        );
    }
}
