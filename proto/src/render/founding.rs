//! Servers that introduce themselves.

use prost::bytes::Bytes;

use super::cluster::nonce;
use crate::founding::{Introduction, Standing};
use crate::wire;

/// The random number that a server's storage was given.
#[must_use]
pub fn identity(identity: u128) -> Bytes {
    nonce(identity)
}

/// A server introduces itself.
#[must_use]
pub fn introduction(of: &Introduction) -> wire::Introduction {
    let you = match of.you {
        None => wire::Standing::Unspecified,
        Some(Standing::Stranger) => wire::Standing::Stranger,
        Some(Standing::OtherStorage) => wire::Standing::OtherStorage,
        Some(Standing::Member) => wire::Standing::Member,
    };
    let founders = of.founders.iter().flatten();
    wire::Introduction {
        server: of.server.0,
        identity: nonce(of.identity),
        cluster: of.cluster.map(nonce),
        you: you.into(),
        founders: founders
            .map(|(server, identity)| wire::Founder {
                server: server.0,
                identity: identity.map(nonce),
            })
            .collect(),
    }
}
