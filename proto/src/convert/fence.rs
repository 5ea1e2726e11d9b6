//! What a fence agent is asked and answers.

use dlm_core::SessionId;

use super::founding::identity;
use crate::error::WireError;
use crate::fence::{FENCE_CONTAINERS_MAX, FenceAnswer, FenceOrder, FenceOutcome};
use crate::name::Name;
use crate::wire;

/// Somebody to fence.
///
/// # Errors
/// [`WireError::Missing`] without a session, [`WireError::IdentityLength`], or what is wrong with its name.
pub fn fence_order(wire: wire::FenceRequest) -> Result<FenceOrder, WireError> {
    if wire.session == 0 {
        let what = "a session's number";
        return Err(WireError::Missing { what });
    }
    let cluster = wire.cluster.as_deref();
    let cluster = cluster.map(|cluster| identity("a cluster's identity", cluster));
    Ok(FenceOrder {
        session: SessionId(wire.session),
        name: Name::new(wire.name)?,
        cluster: cluster.transpose()?,
        age_us: wire.age_us,
        lease_left_us: wire.lease_left_us,
    })
}

/// That somebody is fenced. Containers beyond [`FENCE_CONTAINERS_MAX`] are left out.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn fence_answer(wire: wire::FenceReply) -> Result<FenceAnswer, WireError> {
    let outcome = match wire::FenceOutcome::try_from(wire.outcome) {
        Ok(wire::FenceOutcome::Killed) => FenceOutcome::Killed,
        Ok(wire::FenceOutcome::Down) => FenceOutcome::Down,
        Ok(wire::FenceOutcome::Earlier) => FenceOutcome::Earlier,
        Ok(wire::FenceOutcome::Lease) => FenceOutcome::Lease,
        Ok(wire::FenceOutcome::Unspecified) | Err(_) => {
            return Err(WireError::Enumeration {
                what: "outcome of a fence",
                value: wire.outcome,
            });
        }
    };
    let mut containers = wire.containers;
    containers.truncate(FENCE_CONTAINERS_MAX);
    Ok(FenceAnswer {
        outcome,
        containers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn what_is_asked_and_answered_comes_back() {
        let order = FenceOrder {
            session: SessionId(7),
            name: Name::new("node1").expect("a name"),
            cluster: Some(u128::MAX - 1),
            age_us: 5_000_000,
            lease_left_us: Some(0),
        };
        let bare = FenceOrder {
            cluster: None,
            lease_left_us: None,
            ..order.clone()
        };
        for order in [order, bare] {
            assert_eq!(fence_order(render::fence_order(&order)), Ok(order));
        }
        for outcome in [
            FenceOutcome::Killed,
            FenceOutcome::Down,
            FenceOutcome::Earlier,
            FenceOutcome::Lease,
        ] {
            let containers = vec!["glockwork_node1_1".to_owned()];
            let answer = FenceAnswer {
                outcome,
                containers,
            };
            assert_eq!(
                fence_answer(render::fence_answer(answer.clone())),
                Ok(answer)
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let good = wire::FenceRequest {
            session: 1,
            name: "node1".into(),
            cluster: None,
            age_us: 0,
            lease_left_us: None,
        };
        assert!(fence_order(good.clone()).is_ok());
        for bad in [
            wire::FenceRequest {
                session: 0,
                ..good.clone()
            },
            wire::FenceRequest {
                name: String::new(),
                ..good.clone()
            },
            wire::FenceRequest {
                name: "a\nb".into(),
                ..good.clone()
            },
            wire::FenceRequest {
                cluster: Some(b"short"[..].into()),
                ..good
            },
        ] {
            assert!(fence_order(bad.clone()).is_err(), "{bad:?}");
        }
        for outcome in [0, 99] {
            let reply = wire::FenceReply {
                outcome,
                containers: Vec::new(),
            };
            assert!(fence_answer(reply).is_err());
        }
    }
}
