//! A session against a cluster that follows a script: what goes over the wire, and what is told when it breaks.

mod scripted;
mod session;
mod tls;
