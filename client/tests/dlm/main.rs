//! The `dlm` program against a server, as processes.

mod dump;
mod engine;
mod fault;
mod fence;
mod graph;
mod listings;
mod lock;
mod machine;
mod session;
mod stage;
mod terminal;
mod watchdog;
