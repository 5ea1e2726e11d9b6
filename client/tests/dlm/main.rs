//! The `dlm` program against a server, as processes.

mod graph;
mod lock;
mod stage;
mod terminal;
mod watchdog;
