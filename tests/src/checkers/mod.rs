//! What must be true of every run, each property in a file of its own, over a [`History`] of plain facts.
//!
//! | file | property |
//! |---|---|
//! | `exclusion.rs` | no two hold what excludes each other |
//! | `tokens.rs` | a grant's token is larger than that of every earlier grant that it excludes |
//! | `values.rs` | a value is lost only by the rules |
//! | `forgotten.rs` | no lock and no waiter is forgotten |
//! | `order.rs` | who came first is served first |
//! | `faultless.rs` | what sessions claim fits together |
//! | `holders.rs` | no two tasks hold a glock in states that exclude each other |
//! | `replicas.rs` | states after the same entry are equal |
//! | `progress.rs` | when all is healed everything is answered within a bound |
//!
//! A checker is told nothing of how the run came about, and shares no code with what it checks. Each is
//! tested on histories that it must refuse.

pub mod exclusion;
pub mod faultless;
pub mod forgotten;
pub mod history;
pub mod holders;
pub mod order;
pub mod progress;
pub mod replicas;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod values;

pub use history::{ClientId, End, Entry, Fact, History, Lock, Resource, Stored, Ticket, Want};

use std::fmt;

use dlm_core::Tick;

/// A property that a run does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property: the checker's name.
    pub property: &'static str,
    /// When it was seen.
    pub at: Tick,
    /// Of which resource, where it is one's.
    pub resource: Option<Box<Resource>>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (property, text) = (self.property, &self.text);
        match &self.resource {
            Some(resource) => write!(f, "{property}: {resource}: {text} (at {})", self.at.0),
            None => write!(f, "{property}: {text} (at {})", self.at.0),
        }
    }
}

impl std::error::Error for Violation {}

/// All that is true of any run at any moment, progress excepted, which needs a bound.
///
/// # Errors
/// The first violation.
pub fn check_safety(history: &History) -> Result<(), Violation> {
    exclusion::check(history)?;
    tokens::check(history)?;
    values::check(history)?;
    order::check(history)?;
    holders::check(history)?;
    replicas::check(history)
}
