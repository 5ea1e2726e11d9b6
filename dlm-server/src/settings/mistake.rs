//! What is wrong with settings: all of it at once, each in a line that says where it was given.

use std::fmt;

use super::Key;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere.
    Default(Key),
    /// In the file.
    File {
        /// Which, as it was named.
        path: String,
        /// In which line, counted from 1; none where it is the file as a whole.
        line: Option<usize>,
    },
    /// In the environment, under this name.
    Environment(String),
    /// On the command line.
    Flag(Key),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(key) => write!(f, "{key} (not set)"),
            Self::File { path, line: None } => f.write_str(path),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{path}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--{key}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was given.
    pub source: Source,
    /// What is wrong and what to do, in one line.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may have come with a line break; the line stays one.
        let text = self.text.replace(char::is_control, " ");
        write!(f, "{}: {text}", self.source)
    }
}

/// Everything that is wrong, a line each; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
