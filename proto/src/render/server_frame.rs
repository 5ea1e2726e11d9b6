//! What a server writes.

use dlm_core::ValueBlock;
use prost::bytes::Bytes;

use super::words;
use crate::frame::{Event, ServerFrame, Welcome};
use crate::wire;

/// The first frame of a server.
#[must_use]
pub fn welcome(welcome: Welcome) -> wire::ServerFrame {
    wire::ServerFrame {
        welcome: Some(wire::Welcome {
            version: welcome.version,
            session: welcome.session.0,
        }),
        ..wire::ServerFrame::default()
    }
}

/// Any frame of a server but the first.
#[must_use]
pub fn server_frame(frame: &ServerFrame) -> wire::ServerFrame {
    wire::ServerFrame {
        welcome: None,
        events: frame.events.iter().map(event).collect(),
        holders_query: frame
            .query
            .map(|query| wire::HoldersQuery { query: query.0 }),
        glocks_query: frame.glocks_query.as_ref().map(super::glocks::query),
    }
}

fn event(event: &Event) -> wire::Event {
    use wire::event::Kind;

    let kind = match event.clone() {
        Event::Done {
            op,
            lock,
            status,
            mode,
            token,
            flags,
            value,
        } => {
            let (status, refusal) = words::status(status);
            Kind::Done(wire::Done {
                op: op.0,
                lock: lock.0,
                status: status.into(),
                refusal: refusal.into(),
                mode: words::mode_or_none(mode).into(),
                token: token.0,
                flags: flags.bits().into(),
                value: value.as_ref().map(value_bytes),
                ..wire::Done::default()
            })
        }
        Event::Blocking { lock, mode } => Kind::Blocking(wire::Blocking {
            lock: lock.0,
            mode: words::mode(mode).into(),
        }),
        Event::LockspaceOpened {
            op,
            lockspace,
            options,
        } => Kind::LockspaceOpened(wire::LockspaceOpened {
            op: op.0,
            lockspace: lockspace.0,
            options: Some(words::lockspace_options(options)),
        }),
        Event::LockspaceRefused { op, why } => {
            let (why, options) = words::lockspace_refusal(why);
            Kind::LockspaceRefused(wire::LockspaceRefused {
                op: op.0,
                why: why.into(),
                options,
            })
        }
        Event::Orphaned { lock, owner } => Kind::Orphaned(wire::Orphaned {
            lock: lock.0,
            owner: owner.0,
        }),
        Event::Purged { op, locks } => Kind::Purged(wire::Purged { op: op.0, locks }),
    };
    wire::Event { kind: Some(kind) }
}

pub(super) fn value_bytes(value: &ValueBlock) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}
