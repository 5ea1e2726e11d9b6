//! What is wrong with a scenario.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line on which it is.
    pub line: Option<usize>,
    /// What it is, and what to do.
    pub text: String,
}

impl Mistake {
    /// On a line; 0 where there is none.
    pub(crate) fn at(line: usize, text: String) -> Self {
        let line = Some(line).filter(|&line| line > 0);
        Self { line, text }
    }
}

/// All that is wrong with a scenario, a line each: `FILE:LINE: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// What is wrong with it, in the order of its lines; there is something.
    pub mistakes: Vec<Mistake>,
}

impl ScenarioError {
    pub(crate) fn one(file: &str, line: Option<usize>, text: String) -> Self {
        Self {
            file: file.into(),
            mistakes: vec![Mistake { line, text }],
        }
    }

    /// None where nothing is wrong.
    pub(crate) fn of(file: &str, mut mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort_by_key(|mistake| mistake.line);
        Err(Self {
            file: file.into(),
            mistakes,
        })
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match mistake.line {
                Some(line) => write!(f, "{}:{line}: {}", self.file, mistake.text)?,
                None => write!(f, "{}: {}", self.file, mistake.text)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}
