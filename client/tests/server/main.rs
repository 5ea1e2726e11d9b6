//! The client against a real server in the same process: everything but the process boundary.

mod asts;
mod cached;
mod caching;
mod pages;
mod raw;
mod session;
mod sharing;
mod stage;
mod values;
