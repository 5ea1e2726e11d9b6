//! What a client reads.

use dlm_core::{LockId, LockspaceId, OpId, Owner, SessionId, StatusFlags, Token};

use super::{lockspace_options, lockspace_refusal, mode, mode_or_none, status, value};
use crate::error::WireError;
use crate::frame::{Event, QueryId, ServerFrame, Welcome};
use crate::wire;

/// The first frame of a server.
///
/// # Errors
/// [`WireError::WelcomeMissing`].
pub fn welcome(frame: &wire::ServerFrame) -> Result<Welcome, WireError> {
    let welcome = frame.welcome.as_ref().ok_or(WireError::WelcomeMissing)?;
    Ok(Welcome {
        version: welcome.version,
        session: SessionId(welcome.session),
    })
}

/// Any frame of a server but the first.
///
/// # Errors
/// [`WireError::WelcomeAgain`], [`WireError::EventKind`], [`WireError::Enumeration`],
/// [`WireError::ValueLength`], [`WireError::LockspaceOptions`] or [`WireError::ResourceNameLength`].
pub fn server_frame(frame: wire::ServerFrame) -> Result<ServerFrame, WireError> {
    if frame.welcome.is_some() {
        return Err(WireError::WelcomeAgain);
    }
    Ok(ServerFrame {
        events: frame.events.iter().map(event).collect::<Result<_, _>>()?,
        query: frame.holders_query.map(|query| QueryId(query.query)),
        glocks_query: frame
            .glocks_query
            .as_ref()
            .map(super::glocks::query)
            .transpose()?,
    })
}

fn event(wire: &wire::Event) -> Result<Event, WireError> {
    use wire::event::Kind;

    Ok(match wire.kind.as_ref().ok_or(WireError::EventKind)? {
        Kind::Done(done) => Event::Done {
            op: OpId(done.op),
            lock: LockId(done.lock),
            status: status(done.status, done.refusal)?,
            mode: mode_or_none(done.mode)?,
            token: Token(done.token),
            // Bits without a name here are a newer server's.
            flags: StatusFlags::from_bits_truncate(done.flags as u8),
            value: done.value.as_deref().map(value).transpose()?,
        },
        Kind::Blocking(blocking) => Event::Blocking {
            lock: LockId(blocking.lock),
            mode: mode(blocking.mode)?,
        },
        Kind::LockspaceOpened(opened) => Event::LockspaceOpened {
            op: OpId(opened.op),
            lockspace: LockspaceId(opened.lockspace),
            options: lockspace_options(opened.options.unwrap_or_default())?,
        },
        Kind::LockspaceRefused(refused) => Event::LockspaceRefused {
            op: OpId(refused.op),
            why: lockspace_refusal(
                refused.why,
                lockspace_options(refused.options.unwrap_or_default())?,
            )?,
        },
        Kind::Orphaned(orphaned) => Event::Orphaned {
            lock: LockId(orphaned.lock),
            owner: Owner(orphaned.owner),
        },
        Kind::Purged(purged) => Event::Purged {
            op: OpId(purged.op),
            locks: purged.locks,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::{render, strategies};

    proptest! {
        /// A server that lost its mind does no more to its client than to end the session.
        #[test]
        fn no_bytes_break_the_decoder(
            frame in strategies::server_frame(),
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = render::server_frame(&frame).encode_to_vec();
            for (at, byte) in damage {
                let len = bytes.len().max(1);
                if let Some(place) = bytes.get_mut(at % len) {
                    *place = byte;
                }
            }
            if let Ok(decoded) = wire::ServerFrame::decode(&bytes[..]) {
                // Read or refused.
                let _ = (welcome(&decoded), server_frame(decoded));
            }
        }

        #[test]
        fn what_was_rendered_is_read_back(frame in strategies::server_frame()) {
            let bytes = render::server_frame(&frame).encode_to_vec();
            let decoded = wire::ServerFrame::decode(&bytes[..]).unwrap();
            prop_assert_eq!(server_frame(decoded), Ok(frame));
        }
    }

    #[test]
    fn a_server_says_welcome_first_and_once() {
        let said = Welcome {
            version: 1,
            session: SessionId(7),
        };
        let frame = render::welcome(said);
        assert_eq!(welcome(&frame), Ok(said));
        assert_eq!(server_frame(frame), Err(WireError::WelcomeAgain));
        assert_eq!(
            welcome(&wire::ServerFrame::default()),
            Err(WireError::WelcomeMissing)
        );
    }

    #[test]
    fn an_event_without_a_meaning_is_an_error() {
        let read = |kind| {
            server_frame(wire::ServerFrame {
                events: vec![wire::Event { kind }],
                ..wire::ServerFrame::default()
            })
        };
        assert_eq!(read(None), Err(WireError::EventKind));
        let blocking = wire::Blocking { lock: 1, mode: 0 };
        assert!(matches!(
            read(Some(wire::event::Kind::Blocking(blocking))),
            Err(WireError::Enumeration { what: "mode", .. })
        ));
        assert!(matches!(
            read(Some(wire::event::Kind::Done(wire::Done::default()))),
            Err(WireError::Enumeration { what: "status", .. })
        ));
    }
}
