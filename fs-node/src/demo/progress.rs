//! What one sees while the demo runs: one line that changes on a terminal, a line a second elsewhere.
//! All of that goes to standard error. What is told on the way goes there too where standard output is
//! for one JSON document, and to standard output otherwise.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a line is printed where it cannot be overwritten.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The display.
#[derive(Debug)]
pub(crate) struct Display {
    terminal: bool,
    story_on_stdout: bool,
    printed: Option<Instant>,
}

impl Display {
    /// The display; `json` keeps standard output free.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            story_on_stdout: !json,
            printed: None,
        }
    }

    /// Shows where things stand.
    pub(crate) fn show(&mut self, line: &str) {
        if self.terminal {
            print(format_args!("\r\x1b[K{line}"));
        } else if self
            .printed
            .is_none_or(|printed| printed.elapsed() >= LINE_EVERY)
        {
            self.printed = Some(Instant::now());
            print(format_args!("{line}\n"));
        }
    }

    /// Removes what is shown.
    pub(crate) fn clear(&mut self) {
        if self.terminal {
            print(format_args!("\r\x1b[K"));
        }
        self.printed = None;
    }

    /// Prints something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        if self.story_on_stdout {
            // A reader who has gone away is found out when the result is written.
            let _ = writeln!(io::stdout(), "{text}");
        } else {
            print(format_args!("{text}\n"));
        }
    }
}

fn print(text: std::fmt::Arguments<'_>) {
    // Nobody who can be told is there where standard error is gone.
    let _ = io::stderr().write_fmt(text);
    let _ = io::stderr().flush();
}
