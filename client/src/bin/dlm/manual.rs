//! `dlm manual` and `dlm completions`: made from the very definitions that the command line is read by.

use std::fmt::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManualArguments {
    /// The command whose page it is: lock, fault-partition; without, the page about all of them.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// What the manual has and the definitions of options have not. `--help` shows it too.
const SECTIONS: [Section; 3] = [
    (
        "Exit status",
        &[
            (
                "0",
                "it did what it was asked for, or whoever read its output had seen enough",
            ),
            (
                "1",
                "it could not: there is no lock server, or no such lockspace, a file could not be written, a lock was lost; standard error says in one line what it was and what can be done",
            ),
            ("2", "the command line is wrong"),
            (
                "75",
                "dlm lock: the lock could not be had, with --try or --timeout; the same command may succeed later",
            ),
            (
                "other",
                "dlm lock: the command's own status; 128 and the signal's number where a signal ended it",
            ),
        ],
    ),
    (
        "Environment",
        &[
            (
                "GLOCKWORK_ENDPOINTS",
                "the lock servers, where --endpoints does not name them",
            ),
            (
                "GLOCKWORK_LOCKSPACE, GLOCKWORK_LOCK, GLOCKWORK_MODE, GLOCKWORK_TOKEN, GLOCKWORK_VALUE, GLOCKWORK_VALUE_VALID",
                "set by dlm lock for the command that it runs; see dlm-lock(1)",
            ),
        ],
    ),
    (
        "Files",
        &[
            (
                "DIRECTORY/gfs2/glockwork:LOCKSPACE/glocks",
                "dlm dump --tree: the glocks of a node, as gfs2 shows them in debugfs",
            ),
            (
                "DIRECTORY/dlm/LOCKSPACE, _locks, _all, _waiters",
                "dlm dump --tree: the locks, as fs/dlm shows them in debugfs",
            ),
        ],
    ),
];

/// Where what is said of a term begins, and how wide a line is, in `--help`.
const HELP_INDENT: usize = 10;
const HELP_COLUMNS: usize = 78;

/// The sections as `--help` shows them at its end.
pub(crate) fn after_help() -> String {
    let mut text = String::new();
    for (title, entries) in SECTIONS {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{title}:\n");
        for (term, what) in entries {
            let short = term.len() <= HELP_INDENT - 4;
            let mut line = format!("  {term}");
            if !short {
                let _ = writeln!(text, "{line}");
                line.clear();
            }
            for word in what.split(' ') {
                if line.len() + 1 + word.len() > HELP_COLUMNS {
                    let _ = writeln!(text, "{line}");
                    line.clear();
                }
                let wide = if line.len() < HELP_INDENT {
                    HELP_INDENT
                } else {
                    line.len() + 1
                };
                let _ = write!(line, "{:1$}{word}", "", wide - line.len());
            }
            let _ = writeln!(text, "{line}");
        }
    }
    text.trim().to_owned()
}

pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dlm", &mut script);
    output::write(None, &String::from_utf8_lossy(&script))
}

pub(crate) fn run(arguments: &ManualArguments) -> Result<(), CommandError> {
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let page = match &arguments.command {
        None => page(all, None),
        Some(name) => {
            let Some(command) = find(&all, name) else {
                let name = name.clone();
                return Err(CommandError::NoCommand { name });
            };
            page(command.clone(), Some(name))
        }
    };
    output::write(None, &page.expect("writing to memory"))
}

/// The command `lock`, or `fault-list`: as the pages are called.
fn find<'a>(all: &'a clap::Command, name: &str) -> Option<&'a clap::Command> {
    let mut commands = all.get_subcommands();
    commands.find_map(|each| match name.strip_prefix(each.get_name())? {
        "" => Some(each),
        rest => find(each, rest.strip_prefix('-')?),
    })
}

/// The page of one command, or of all of them.
fn page(mut command: clap::Command, name: Option<&String>) -> std::io::Result<String> {
    let mut page = Vec::new();
    let usage = command.render_usage().to_string();
    let notes = command.get_after_long_help().map(ToString::to_string);
    let title = name.map_or_else(|| "dlm".to_owned(), |name| format!("dlm-{name}"));
    let has_commands = command.has_subcommands();
    let man = Man::new(command).title(title);
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(&usage).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if name.is_none() {
        sections().to_writer(&mut page)?;
        man.render_version_section(&mut page)?;
    } else if let Some(notes) = notes {
        as_it_stands("NOTES", &notes).to_writer(&mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// As `--help` has it: what stands behind `--` has to be seen here, too.
fn synopsis(usage: &str) -> Roff {
    as_it_stands("SYNOPSIS", usage.strip_prefix("Usage: ").unwrap_or(usage))
}

/// A section whose lines are not filled.
fn as_it_stands(title: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn sections() -> Roff {
    let mut roff = Roff::new();
    for (title, entries) in SECTIONS {
        roff.control("SH", [&title.to_uppercase()[..]]);
        for (term, what) in entries {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*what)]);
        }
    }
    roff
}
