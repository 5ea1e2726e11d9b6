//! The table against a slow model; bytes through gates.

mod calls;
mod model;
mod sockets;

use glockwork_proto::fault::{Fault, Injection, Member};

fn member(text: &str) -> Member {
    text.parse().unwrap()
}

fn both_ways(fault: Fault, from: &str, to: &str) -> Injection {
    Injection {
        from: member(from),
        to: member(to),
        one_way: false,
        fault,
        for_us: None,
        here_only: true,
    }
}

fn one_way(fault: Fault, from: &str, to: &str) -> Injection {
    Injection {
        one_way: true,
        ..both_ways(fault, from, to)
    }
}
