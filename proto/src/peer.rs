//! The frames of the stream from one server to another. What they carry stands in [`dlm_core::peer`].

mod bytes;

use std::collections::VecDeque;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use dlm_core::peer::PeerMessage;
use thiserror::Error;

use crate::limits::{PEER_FRAME_BYTES_FULL, PEER_MESSAGE_BYTES_MAX, PEER_MESSAGES_MAX};
use crate::version::VersionRange;

/// What a server sends at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerFrame {
    /// Who it is: in the first frame, and with nothing else.
    pub hello: Option<PeerHello>,
    /// What it says, in this order.
    pub messages: Vec<PeerMessage>,
}

/// The beginning of a stream, from the server that dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerHello {
    /// The cluster that it belongs to.
    pub cluster: u128,
    /// Its number.
    pub server: ServerId,
    /// The random number that its storage was given when it was made.
    pub identity: u128,
    /// What it speaks.
    pub versions: VersionRange,
    /// Where clients find it.
    pub endpoint: Endpoint,
}

/// The answer to a hello; nothing else is ever said in that direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerWelcome {
    /// The cluster that the server which answers belongs to.
    pub cluster: u128,
    /// Its number.
    pub server: ServerId,
    /// The random number that its storage was given when it was made.
    pub identity: u128,
    /// What is spoken.
    pub version: u32,
}

/// A message that fits into no frame. It is lost, as any message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a message to another server may take {bytes} bytes, and a frame has at most \
     {PEER_MESSAGE_BYTES_MAX}; it is not sent"
)]
pub struct PeerMessageTooLong {
    /// How many bytes it may take.
    pub bytes: usize,
}

impl From<PeerHello> for PeerFrame {
    fn from(hello: PeerHello) -> Self {
        Self {
            hello: Some(hello),
            messages: Vec::new(),
        }
    }
}

impl PeerFrame {
    /// No fewer bytes than a message takes in a frame.
    #[must_use]
    pub fn bytes_of(message: &PeerMessage) -> usize {
        bytes::of_message(message)
    }

    /// A frame of what stands first in a queue: until it is full, and at least one message where there is one.
    ///
    /// # Errors
    /// [`PeerMessageTooLong`] where the first message fits into no frame. It is taken out of the queue.
    pub fn of_queue(queue: &mut VecDeque<PeerMessage>) -> Result<Self, PeerMessageTooLong> {
        let mut sizes = queue.iter().take(PEER_MESSAGES_MAX).map(Self::bytes_of);
        let Some(first) = sizes.next() else {
            return Ok(Self::default());
        };
        let mut room = PEER_FRAME_BYTES_FULL.saturating_sub(first);
        let mut count = 1;
        for bytes in sizes {
            let Some(left) = room.checked_sub(bytes) else {
                break;
            };
            room = left;
            count += 1;
        }
        if first > PEER_MESSAGE_BYTES_MAX {
            queue.pop_front();
            return Err(PeerMessageTooLong { bytes: first });
        }
        Ok(Self {
            hello: None,
            messages: queue.drain(..count).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::render;

    fn raft(bytes: usize) -> PeerMessage {
        PeerMessage::Raft(vec![7; bytes])
    }

    #[test]
    fn a_queue_goes_out_in_order_and_no_frame_is_too_full() {
        let half = PEER_FRAME_BYTES_FULL / 2;
        let lengths = [10, half, half, 3 * half, 5, 6];
        let mut queue: VecDeque<PeerMessage> = lengths.map(raft).into();
        let mut frames = Vec::new();
        while !queue.is_empty() {
            let frame = PeerFrame::of_queue(&mut queue).expect("they all fit");
            let lengths = frame.messages.into_iter().map(|message| match message {
                PeerMessage::Raft(bytes) => bytes.len(),
                other => panic!("{other:?}"),
            });
            frames.push(lengths.collect::<Vec<_>>());
        }
        let whole = [vec![10, half], vec![half], vec![3 * half], vec![5, 6]];
        assert_eq!(frames, whole);
        assert_eq!(PeerFrame::of_queue(&mut queue), Ok(PeerFrame::default()));

        let count = PEER_MESSAGES_MAX + 3;
        let mut queue: VecDeque<PeerMessage> = (0..count).map(|_| raft(1)).collect();
        let mut next = || PeerFrame::of_queue(&mut queue).map(|frame| frame.messages.len());
        assert_eq!((next(), next()), (Ok(PEER_MESSAGES_MAX), Ok(3)));
    }

    #[test]
    fn the_longest_message_fits_and_a_longer_one_is_left_out() {
        let longest = 64 << 20;
        let mut queue = VecDeque::from([raft(longest + (1 << 10)), raft(longest), raft(3)]);
        let refused = PeerFrame::of_queue(&mut queue).unwrap_err();
        assert!(refused.bytes > PEER_MESSAGE_BYTES_MAX);
        assert_eq!(queue.len(), 2);
        let frame = PeerFrame::of_queue(&mut queue).unwrap();
        assert_eq!((frame.messages.len(), queue.len()), (1, 1));
        assert!(render::peer_frame(frame).encoded_len() <= PEER_MESSAGE_BYTES_MAX);
    }
}
