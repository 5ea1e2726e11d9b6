//! The server over real gRPC, alone and as one of three: one program, since each that links it takes as long
//! to build as all of them together.

mod bad_calls;
mod bad_hello;
mod bad_input;
mod cluster;
mod counters;
mod glocks;
mod http;
mod lockspaces;
mod program;
mod raw;
mod services;
mod sessions;
mod tls;
mod watch;
