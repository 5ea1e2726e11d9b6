//! Calls come back as they were, and one that means nothing is refused.

use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;

use super::*;
use crate::{render, strategies};

proptest! {
    #[test]
    fn a_call_comes_back_as_it_was(asked in strategies::peer::call()) {
        let wire = wire::CallAsked { kind: Some(render::call(asked.clone())) };
        let bytes = wire.encode_to_vec();
        prop_assert_eq!(call(wire::CallAsked::decode(&bytes[..]).unwrap()), Ok(asked));
    }

    #[test]
    fn an_answer_comes_back_as_it_was(answer in strategies::peer::call_answer()) {
        let bytes = render::call_answer(answer.clone()).encode_to_vec();
        let decoded = wire::CallAnswered::decode(&bytes[..]).unwrap();
        prop_assert_eq!(call_answer(decoded), Ok(answer));
    }
}

fn join_of(change: impl FnOnce(&mut wire::JoinRequest)) -> Result<Call, WireError> {
    let mut request = wire::JoinRequest {
        nonce: Bytes::from_static(&[1; 16]),
        name: "node 1".to_owned(),
        version_min: 1,
        version_max: 1,
        attests: None,
    };
    change(&mut request);
    call_join(request)
}

#[test]
fn a_join_has_a_nonce_a_name_and_versions() {
    assert!(join_of(|_| {}).is_ok());
    let nonce = join_of(|join| join.nonce = Bytes::from_static(&[1; 15]));
    assert_eq!(nonce, Err(WireError::NonceLength { bytes: 15 }));
    let nonce = join_of(|join| join.attests = Some(wire::Attest::default()));
    assert_eq!(nonce, Err(WireError::NonceLength { bytes: 0 }));
    let versions = join_of(|join| join.version_min = 2);
    assert_eq!(versions, Err(WireError::VersionRange { min: 2, max: 1 }));
    for name in [String::new(), "a\n".to_owned(), "x".repeat(65)] {
        let refused = join_of(|join| join.name = name);
        assert!(
            matches!(refused, Err(WireError::Text { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_lockspace_has_a_name_and_options_that_can_be() {
    let open = |name: &str, value_length| {
        let locks = wire::LockspaceOptions {
            value_length,
            breaks_deadlocks: false,
        };
        call_open_lockspace(wire::OpenLockspaceRequest {
            session: 1,
            nonce: Bytes::from_static(&[1; 16]),
            name: name.to_owned(),
            options: Some(wire::ClusterOptions {
                locks: Some(locks),
                ..wire::ClusterOptions::default()
            }),
        })
    };
    assert!(open("data", 64).is_ok());
    assert!(matches!(open("", 64), Err(WireError::Text { .. })));
    let options = WireError::LockspaceOptions { bytes: 65 };
    assert_eq!(open("data", 65), Err(options));
}

/// Whoever says nothing, or too little, is nobody.
#[test]
fn whoever_speaks_for_a_session_has_its_nonce() {
    let short = Bytes::from_static(&[1; 15]);
    let refused = |call: Result<Call, WireError>| {
        assert!(matches!(
            call,
            Err(WireError::NonceLength { bytes: 0 | 15 })
        ));
    };
    for nonce in [Bytes::new(), short] {
        refused(call_keep_alive(wire::KeepAliveRequest {
            session: 1,
            nonce: nonce.clone(),
        }));
        refused(call_goodbye(wire::GoodbyeRequest {
            session: 1,
            nonce: nonce.clone(),
        }));
        refused(call_leave_lockspace(wire::LeaveLockspaceRequest {
            nonce: nonce.clone(),
            ..wire::LeaveLockspaceRequest::default()
        }));
        refused(call_replayed(wire::ReplayedRequest {
            nonce: nonce.clone(),
            ..wire::ReplayedRequest::default()
        }));
        refused(call_open_lockspace(wire::OpenLockspaceRequest {
            nonce,
            name: "data".to_owned(),
            ..wire::OpenLockspaceRequest::default()
        }));
    }
}
