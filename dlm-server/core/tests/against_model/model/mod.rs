//! A lock table that is slow and obvious: plain lists, every rule a scan.
//!
//! It shares nothing with the table but the vocabulary and the table of compatible modes. It says which
//! outputs a step has, in which order, and where every lock stands; tokens it does not know.

pub(crate) mod resource;
pub(crate) mod table;
