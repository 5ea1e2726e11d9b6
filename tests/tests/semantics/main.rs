//! What SEMANTICS.md promises of the lock manager, a test a claim: each is named there, and `document.rs`
//! checks that what is named there exists.
//!
//! The scenarios are played on the real lock table, in the language of the recordings (`script.rs`).

mod accidents;
mod callbacks;
mod conversions;
mod document;
mod giving_up;
mod not_matched;
mod order;
mod orphans;
mod refusals;
mod requests;
mod script;
mod tables;
mod values;
