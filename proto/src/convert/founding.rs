//! Servers that introduce themselves.

use std::collections::BTreeMap;

use dlm_core::ServerId;

use crate::error::WireError;
use crate::founding::{Introduction, Standing};
use crate::wire;

/// A random number in 16 bytes.
pub(super) fn identity(what: &'static str, bytes: &[u8]) -> Result<u128, WireError> {
    let taken: Result<[u8; 16], _> = bytes.try_into();
    let bytes = bytes.len();
    taken
        .map(u128::from_be_bytes)
        .map_err(|_| WireError::IdentityLength { what, bytes })
}

/// A server's number: 0 is none.
pub(super) const fn server(number: u64) -> Result<ServerId, WireError> {
    if number == 0 {
        let what = "a server's number";
        return Err(WireError::Missing { what });
    }
    Ok(ServerId(number))
}

/// A server that introduces itself.
///
/// # Errors
/// [`WireError::IdentityLength`], [`WireError::Missing`] where it or a founder has no number, or
/// [`WireError::Enumeration`].
pub fn introduction(wire: wire::Introduction) -> Result<Introduction, WireError> {
    let cluster = wire.cluster.as_deref();
    let cluster = cluster.map(|cluster| identity("a cluster's identity", cluster));
    let you = match wire::Standing::try_from(wire.you) {
        Ok(wire::Standing::Unspecified) => None,
        Ok(wire::Standing::Stranger) => Some(Standing::Stranger),
        Ok(wire::Standing::OtherStorage) => Some(Standing::OtherStorage),
        Ok(wire::Standing::Member) => Some(Standing::Member),
        Err(_) => {
            let (what, value) = ("a standing", wire.you);
            return Err(WireError::Enumeration { what, value });
        }
    };
    let founders = wire.founders.into_iter().map(founder);
    let founders: BTreeMap<_, _> = founders.collect::<Result<_, _>>()?;
    Ok(Introduction {
        server: server(wire.server)?,
        identity: identity("a server's identity", &wire.identity)?,
        cluster: cluster.transpose()?,
        you,
        founders: (!founders.is_empty()).then_some(founders),
    })
}

fn founder(wire: wire::Founder) -> Result<(ServerId, Option<u128>), WireError> {
    let known = wire.identity.as_deref();
    let known = known.map(|known| identity("a founder's identity", known));
    Ok((server(wire.server)?, known.transpose()?))
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use proptest::collection::btree_map;

    use super::*;
    use crate::render;

    prop_compose! {
        fn introductions()(
            server in 1_u64..,
            identity: u128,
            cluster in option::of(any::<u128>()),
            you in option::of(prop_oneof![
                Just(Standing::Stranger),
                Just(Standing::OtherStorage),
                Just(Standing::Member),
            ]),
            founders in option::of(btree_map((1_u64..).prop_map(ServerId), option::of(any::<u128>()), 1..8)),
        ) -> Introduction {
            Introduction { server: ServerId(server), identity, cluster, you, founders }
        }
    }

    proptest! {
        #[test]
        fn an_introduction_arrives_as_it_was_said(said in introductions()) {
            prop_assert_eq!(introduction(render::introduction(&said)), Ok(said));
        }
    }

    #[test]
    fn who_says_nothing_of_itself_is_refused() {
        let good = wire::Introduction {
            server: 1,
            identity: vec![7; 16].into(),
            ..wire::Introduction::default()
        };
        assert!(introduction(good.clone()).is_ok());
        let bad = [
            wire::Introduction { server: 0, ..good.clone() },
            wire::Introduction { identity: vec![7; 15].into(), ..good.clone() },
            wire::Introduction { cluster: Some(vec![7; 17].into()), ..good.clone() },
            wire::Introduction { you: 9, ..good.clone() },
            wire::Introduction { founders: vec![wire::Founder::default()], ..good },
        ];
        for one in bad {
            assert!(introduction(one.clone()).is_err(), "{one:?}");
        }
    }
}
