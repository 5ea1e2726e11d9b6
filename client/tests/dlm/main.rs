//! The `dlm` program against a server, as processes.

mod dump;
mod fault;
mod graph;
mod listings;
mod lock;
mod machine;
mod session;
mod stage;
mod terminal;
mod watchdog;
