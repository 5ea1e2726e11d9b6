//! The frames of the stream between a session and a server. What they carry stands in
//! [`dlm_core::link`].

use std::collections::VecDeque;

use dlm_core::OpId;
use dlm_core::link::{FromServer, ToServer};

use crate::glocks::{GlocksQuery, GlocksReport};
use crate::holders::{HoldersReport, QueryId};
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::trace::TraceContext;

/// What a session sends at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToServerFrame {
    /// What it says, in this order. A hello stands alone in its frame; what is acknowledged comes last.
    pub messages: Vec<ToServer>,
    /// The answer to a query.
    pub holders: Option<HoldersReport>,
    /// The answer to a query after glocks. Not in one frame with the other: both are large.
    pub glocks: Option<GlocksReport>,
    /// The traces of operations in it whose requesters record one, at most one for each message.
    pub traces: Vec<(OpId, TraceContext)>,
}

/// What a server sends at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromServerFrame {
    /// What it says, in this order. A welcome is the first.
    pub messages: Vec<FromServer>,
    /// A question after the session's local holders.
    pub holders_query: Option<QueryId>,
    /// A question after the session's glocks.
    pub glocks_query: Option<GlocksQuery>,
}

impl ToServerFrame {
    /// What a message counts in a frame, which has room for [`OPERATIONS_PER_FRAME_MAX`]. A claim may carry
    /// two values.
    #[must_use]
    pub fn entries_of(message: &ToServer) -> usize {
        match message {
            ToServer::Hello(_) | ToServer::Acknowledge { .. } => 0,
            ToServer::Operation { .. }
            | ToServer::Everywhere { .. }
            | ToServer::Unreadable { .. } => 1,
            ToServer::Claims { claims, .. } => (2 * claims.len()).max(1),
        }
    }

    /// A frame of what stands first in a queue: as much as fits, and at least one message.
    #[must_use]
    pub fn of_queue(queue: &mut VecDeque<ToServer>) -> Self {
        // A hello stands alone.
        let ends = |message: &ToServer| matches!(message, ToServer::Hello(_));
        Self {
            messages: first_of(queue, Self::entries_of, ends),
            ..Self::default()
        }
    }
}

impl FromServerFrame {
    /// What a message counts in a frame, which has room for [`OPERATIONS_PER_FRAME_MAX`].
    #[must_use]
    pub fn entries_of(message: &FromServer) -> usize {
        match message {
            FromServer::Welcome(welcome) => welcome.map.slots.len().max(1),
            FromServer::Map(map) => map.slots.len().max(1),
            FromServer::Event { .. } | FromServer::Refused { .. } => 1,
        }
    }

    /// A frame of what stands first in a queue: as much as fits, and at least one message.
    #[must_use]
    pub fn of_queue(queue: &mut VecDeque<FromServer>) -> Self {
        Self {
            messages: first_of(queue, Self::entries_of, |_| false),
            ..Self::default()
        }
    }
}

fn first_of<T>(
    queue: &mut VecDeque<T>,
    entries_of: impl Fn(&T) -> usize,
    ends: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut room = OPERATIONS_PER_FRAME_MAX;
    let mut count = 0;
    for message in queue.iter() {
        let Some(left) = room.checked_sub(entries_of(message)) else {
            break;
        };
        room = left;
        count += 1;
        if ends(message) {
            break;
        }
    }
    let count = count.max(1).min(queue.len());
    queue.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use dlm_core::link::OperationKind;
    use dlm_core::{Epoch, LockId, SlotId};

    use super::*;

    fn cancel(number: u64) -> ToServer {
        ToServer::Operation {
            number,
            op: OpId(number),
            slot: SlotId::new(0).expect("a slot"),
            epoch: Epoch(1),
            kind: OperationKind::Cancel { lock: LockId(1) },
        }
    }

    #[test]
    fn a_queue_goes_out_in_order_and_no_frame_is_too_full() {
        let count = OPERATIONS_PER_FRAME_MAX as u64 + 3;
        let mut queue: VecDeque<ToServer> = (1..=count).map(cancel).collect();
        let first = ToServerFrame::of_queue(&mut queue).messages;
        let second = ToServerFrame::of_queue(&mut queue).messages;
        assert_eq!((first.len(), second.len()), (OPERATIONS_PER_FRAME_MAX, 3));
        let all: Vec<ToServer> = first.into_iter().chain(second).collect();
        assert_eq!(all, (1..=count).map(cancel).collect::<Vec<_>>());
        assert!(ToServerFrame::of_queue(&mut queue).messages.is_empty());
    }
}
