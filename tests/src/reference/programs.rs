//! The pages of the programs: what each of their commands prints when it is asked for help.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::prose::slug;
use super::{Page, ReferenceError};

/// A program that has a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program {
    /// As it is called.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) what: &'static str,
}

pub(super) const PROGRAMS: [Program; 3] = [
    Program {
        name: "dlm",
        what: "the command of users and operators: locks, views, orders, faults",
    },
    Program {
        name: "dlm-server",
        what: "the lock server",
    },
    Program {
        name: "fs-node",
        what: "the filesystem node, and the demo",
    },
];

/// How wide the help is: what it is where the terminal is wide enough.
const COLUMNS: &str = "100";

/// How deep commands are within commands: more is a help that was misread.
const DEPTH_MAX: usize = 5;

/// A command, and what it prints.
struct Help {
    /// The program and the commands within it, with blanks between them.
    command: String,
    text: String,
}

/// The page of the program that is at `path`.
pub(super) fn page(path: &Path, program: &Program) -> Result<Page, ReferenceError> {
    let mut helps = Vec::new();
    collect(path, program.name, &[], &mut helps)?;
    let mut text = format!(
        "# Commands of {}\n\n{}\nWhat `--help` prints, for every command. [Other pages](README.md).\n\n",
        program.name,
        sentence(program.what)
    );
    for help in &helps {
        let depth = help.command.split(' ').count() - 1;
        let indent = "  ".repeat(depth);
        let anchor = slug(&format!("`{}`", help.command));
        let _ = writeln!(text, "{indent}- [`{}`](#{anchor})", help.command);
    }
    for help in &helps {
        let _ = write!(
            text,
            "\n## `{}`\n\n```text\n{}\n```\n",
            help.command, help.text
        );
    }
    Ok(Page {
        name: format!("{}.md", program.name),
        text,
    })
}

fn sentence(what: &str) -> String {
    let mut letters = what.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    format!("{}.", first.chain(letters).collect::<String>())
}

/// The help of a command and of all commands in it, each before what is in it.
fn collect(
    path: &Path,
    program: &str,
    arguments: &[&str],
    helps: &mut Vec<Help>,
) -> Result<(), ReferenceError> {
    let command = [&[program], arguments].concat().join(" ");
    let text = ask(path, &command, arguments)?;
    let inner = commands(&text);
    helps.push(Help {
        command: command.clone(),
        text,
    });
    if arguments.len() >= DEPTH_MAX {
        return Err(ReferenceError::Help {
            command,
            why: format!("commands within commands, more than {DEPTH_MAX} deep"),
        });
    }
    for name in inner {
        collect(path, program, &[arguments, &[&name]].concat(), helps)?;
    }
    Ok(())
}

/// What a command prints. Nothing of this machine gets into it: no terminal, and no environment, whose
/// variables the help would show.
fn ask(path: &Path, command: &str, arguments: &[&str]) -> Result<String, ReferenceError> {
    let error = |why: String| ReferenceError::Help {
        command: command.to_owned(),
        why,
    };
    let output = Command::new(path)
        .args(arguments)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", COLUMNS)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| error(source.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(error(format!("{}: {}", output.status, said.trim())));
    }
    let said = String::from_utf8(output.stdout).map_err(|source| error(source.to_string()))?;
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    Ok(lines.join("\n").trim_end().to_owned())
}

/// The commands that a help lists. Names stand two columns in, and what is said of them further. The command
/// that prints help is none.
fn commands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let section = section.take_while(|line| line.is_empty() || line.starts_with(' '));
    section
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn commands_are_found_in_both_forms_of_the_list() {
        let short = "It does.\n\nUsage: it <COMMAND>\n\nCommands:\n  lock    Run a thing\n          while locked\n  \
                     unlock  Stop\n  help    Print this\n\nOptions:\n  -h, --help  Print help";
        assert_eq!(commands(short), ["lock", "unlock"]);
        let long = "Commands:\n  lock\n          Run a thing\n\n  unlock\n          Stop\n\nOptions:\n  --all";
        assert_eq!(commands(long), ["lock", "unlock"]);
        assert!(commands("Usage: it\n\nOptions:\n  -h, --help").is_empty());
    }
}
