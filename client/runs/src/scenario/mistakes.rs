//! What is wrong with a file, collected: whoever mends one thing wants to know of the next.

use std::ops::Range;

use toml::Spanned;

use super::{Mistake, Scenario, ScenarioError};

/// What has been found, and the text in which it was.
pub(super) struct Mistakes<'t> {
    pub(super) shown: &'t str,
    pub(super) text: &'t str,
    found: Vec<Mistake>,
}

impl<'t> Mistakes<'t> {
    pub(super) const fn new(shown: &'t str, text: &'t str) -> Self {
        Self {
            shown,
            text,
            found: Vec::new(),
        }
    }

    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn add(&mut self, at: &Range<usize>, text: String) {
        let line = self.line(at);
        self.add_at(line, text);
    }

    pub(super) fn add_at(&mut self, line: usize, text: String) {
        self.found.push(Mistake::at(line, text));
    }

    pub(super) fn add_all(&mut self, mistakes: Vec<Mistake>) {
        self.found.extend(mistakes);
    }

    pub(super) fn into_error(self) -> ScenarioError {
        ScenarioError {
            file: self.shown.into(),
            mistakes: self.found,
        }
    }

    pub(super) fn into_result(self, scenario: Scenario) -> Result<Scenario, ScenarioError> {
        ScenarioError::of(self.shown, self.found)?;
        Ok(scenario)
    }

    /// What `read` makes of a text that is there; what it cannot read is a mistake.
    pub(super) fn read<T, E: ToString>(
        &mut self,
        text: Option<&Spanned<String>>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = text?;
        match read(text.get_ref()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(&text.span(), error.to_string());
                None
            }
        }
    }
}
