//! Servers that introduce themselves.

use super::cluster::nonce;
use crate::founding::{Introduced, Introduction};
use crate::wire;

/// A server introduces itself.
#[must_use]
pub fn introduce(by: Introduction) -> wire::IntroduceRequest {
    wire::IntroduceRequest {
        server: by.server.0,
        identity: nonce(by.identity),
        cluster: by.cluster.map(nonce),
    }
}

/// What it is answered.
#[must_use]
pub fn introduced(answer: Introduced) -> wire::Introduction {
    let by = introduce(answer.by);
    wire::Introduction {
        server: by.server,
        identity: by.identity,
        cluster: by.cluster,
        knows_you: answer.knows_you,
    }
}
