//! Servers that introduce themselves.

use dlm_core::ServerId;

use crate::error::WireError;
use crate::founding::{Introduced, Introduction};
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
/// [`WireError::IdentityLength`], or [`WireError::Missing`] where it has no number.
pub fn introduce(wire: &wire::IntroduceRequest) -> Result<Introduction, WireError> {
    let cluster = wire.cluster.as_deref();
    let cluster = cluster.map(|cluster| identity("a cluster's identity", cluster));
    Ok(Introduction {
        server: server(wire.server)?,
        identity: identity("a server's identity", &wire.identity)?,
        cluster: cluster.transpose()?,
    })
}

/// What it is answered.
///
/// # Errors
/// As [`introduce`].
pub fn introduced(wire: wire::Introduction) -> Result<Introduced, WireError> {
    let knows_you = wire.knows_you;
    let by = introduce(&wire::IntroduceRequest {
        server: wire.server,
        identity: wire.identity,
        cluster: wire.cluster,
    })?;
    Ok(Introduced { by, knows_you })
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use prost::Message;
    use prost::bytes::Bytes;

    use super::*;
    use crate::render;

    fn introduction() -> impl Strategy<Value = Introduction> {
        let cluster = option::of(any::<u128>());
        (1..=u64::MAX, any::<u128>(), cluster).prop_map(|(server, identity, cluster)| {
            Introduction {
                server: ServerId(server),
                identity,
                cluster,
            }
        })
    }

    proptest! {
        #[test]
        fn an_introduction_comes_back_as_it_was(
            by in introduction(),
            knows_you in any::<bool>(),
        ) {
            let bytes = render::introduce(by).encode_to_vec();
            let wire = wire::IntroduceRequest::decode(&bytes[..]).unwrap();
            prop_assert_eq!(introduce(&wire), Ok(by));
            let answer = Introduced { by, knows_you };
            let bytes = render::introduced(answer).encode_to_vec();
            let wire = wire::Introduction::decode(&bytes[..]).unwrap();
            prop_assert_eq!(introduced(wire), Ok(answer));
        }
    }

    #[test]
    fn a_server_has_a_number_and_an_identity() {
        let by = Introduction {
            server: ServerId(3),
            identity: 5,
            cluster: Some(7),
        };
        let whole = render::introduce(by);
        let refused = |change: fn(&mut wire::IntroduceRequest)| {
            let mut wire = whole.clone();
            change(&mut wire);
            introduce(&wire)
        };
        let short = |what| WireError::IdentityLength { what, bytes: 8 };
        assert_eq!(
            refused(|wire| wire.server = 0),
            Err(WireError::Missing {
                what: "a server's number"
            })
        );
        assert_eq!(
            refused(|wire| wire.identity = Bytes::from_static(&[1; 8])),
            Err(short("a server's identity"))
        );
        assert_eq!(
            refused(|wire| wire.cluster = Some(Bytes::from_static(&[1; 8]))),
            Err(short("a cluster's identity"))
        );
    }
}
