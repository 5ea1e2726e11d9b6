//! What a message between servers is wrapped in: which cluster it belongs to, and the identities of both
//! ends.
//!
//! A server whose disk was wiped has forgotten its votes and what it acknowledged. Set up again under
//! its old number it has another identity, and is mute: the others do not read what it sends, since its
//! identity is not the member's; and it does not read what they send, since that is meant for the
//! identity it had. Only as a new member it takes part again.

use dlm_core::ServerId;
use glockwork_proto::PEER_MESSAGE_BYTES_MAX;
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};

use super::MessageRefusal;
use super::action::Sending;
use super::log_view::from_raft;
use crate::members::{Members, ServerIdentity};
use crate::storage::{ClusterId, Identity};

/// The most bytes of a message; a snapshot is the longest, and the whole state is in it.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(
    MESSAGE_BYTES_MAX + 256 <= PEER_MESSAGE_BYTES_MAX,
    "it fits into a frame between servers"
);

/// The newest form of the envelope: a byte for the form, then the cluster, the sender's identity and
/// the recipient's (0 where the sender does not know it), each in 16 bytes, the lowest first, and then
/// Raft's message.
const FORM: u8 = 1;

const HEAD_BYTES: usize = 1 + 3 * 16;

/// What Raft's servers say to each other. Proposals and reads are made at the leader only, and so are
/// never forwarded.
const KINDS: [MessageType; 10] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTimeoutNow,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

pub(super) struct Envelope;

impl Envelope {
    /// Wraps a message; none where it is not one to be sent.
    pub(super) fn close(
        identity: Identity,
        members: &Members,
        message: &Message,
    ) -> Option<Sending> {
        if !KINDS.contains(&message.get_msg_type()) {
            return None;
        }
        let to = ServerId(message.to);
        let recipient = members
            .member(to)
            .map_or(ServerIdentity(0), |member| member.identity);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + message.compute_size() as usize);
        bytes.push(FORM);
        bytes.extend(identity.cluster.0.to_le_bytes());
        bytes.extend(identity.server_identity.0.to_le_bytes());
        bytes.extend(recipient.0.to_le_bytes());
        message
            .write_to_vec(&mut bytes)
            .expect("a message fits into memory");
        Some(Sending { to, bytes })
    }

    /// Unwraps a message, and reads it if it is meant for us and from whom it says.
    pub(super) fn open(
        identity: Identity,
        members: &Members,
        from: ServerId,
        bytes: &[u8],
    ) -> Result<Message, MessageRefusal> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MessageRefusal::Length);
        }
        let (&form, rest) = bytes.split_first().ok_or(MessageRefusal::Garbled)?;
        let mut rest = rest;
        let mut number = || -> Result<u128, MessageRefusal> {
            let (number, after) = rest.split_first_chunk().ok_or(MessageRefusal::Garbled)?;
            rest = after;
            Ok(u128::from_le_bytes(*number))
        };
        let (cluster, sender, recipient) = (number()?, number()?, number()?);
        if form != FORM {
            return Err(MessageRefusal::Garbled);
        }
        if ClusterId(cluster) != identity.cluster {
            return Err(MessageRefusal::Cluster);
        }
        if recipient != 0 && ServerIdentity(recipient) != identity.server_identity {
            return Err(MessageRefusal::Recipient);
        }
        let known = members.member(from);
        if known.is_some_and(|member| member.identity != ServerIdentity(sender)) {
            return Err(MessageRefusal::Sender);
        }
        let mut message = Message::default();
        let parsed = message.merge_from_bytes(rest);
        parsed.map_err(|_| MessageRefusal::Garbled)?;
        if message.from != from.0 {
            return Err(MessageRefusal::Sender);
        }
        if message.to != identity.server.0 {
            return Err(MessageRefusal::Recipient);
        }
        if !KINDS.contains(&message.get_msg_type()) {
            return Err(MessageRefusal::Kind);
        }
        let snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
        if snapshot && from_raft(message.get_snapshot()).is_none() {
            return Err(MessageRefusal::Garbled);
        }
        Ok(message)
    }
}
