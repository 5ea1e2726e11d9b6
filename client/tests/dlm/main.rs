//! The `dlm` program against a server, as processes.

mod caches;
mod dump;
mod engine;
mod fault;
mod fence;
mod graph;
mod graph_parts;
mod history;
mod listings;
mod lock;
mod machine;
mod node;
mod session;
mod stage;
mod terminal;
mod top;
mod watch;
mod watchdog;
