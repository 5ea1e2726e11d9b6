//! What a fence agent is asked and answers.

use super::cluster::nonce;
use crate::fence::{FenceAnswer, FenceOrder, FenceOutcome};
use crate::wire;

/// Somebody to fence.
#[must_use]
pub fn fence_order(order: &FenceOrder) -> wire::FenceRequest {
    wire::FenceRequest {
        session: order.session.0,
        name: order.name.as_str().to_owned(),
        cluster: order.cluster.map(nonce),
        age_us: order.age_us,
        lease_left_us: order.lease_left_us,
    }
}

/// Somebody is fenced.
#[must_use]
pub fn fence_answer(answer: FenceAnswer) -> wire::FenceReply {
    let outcome = match answer.outcome {
        FenceOutcome::Killed => wire::FenceOutcome::Killed,
        FenceOutcome::Down => wire::FenceOutcome::Down,
        FenceOutcome::Earlier => wire::FenceOutcome::Earlier,
        FenceOutcome::Lease => wire::FenceOutcome::Lease,
    };
    wire::FenceReply {
        outcome: outcome.into(),
        containers: answer.containers,
    }
}
