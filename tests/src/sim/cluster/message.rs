//! What processes of the cluster say to each other, and how little of it is printed.

use std::fmt;

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::link::{FromServer, Hello, SlotMap, ToServer};
use dlm_server::node::PeerMessage;

use super::super::random::Digest;

/// The most slots of a map that are printed one by one.
const SLOTS_PRINTED_MAX: usize = 4;

/// A message of this cluster.
#[derive(Clone)]
pub enum Message {
    /// Between servers.
    Peer(PeerMessage),
    /// A session calls a server.
    Call {
        /// Which session, as it is numbered in the history.
        of: u64,
        /// Under which of its numbers.
        call: CallId,
        /// What it wants.
        asked: Call,
    },
    /// The answer.
    Answer {
        /// Whose.
        of: u64,
        /// To which call.
        call: CallId,
        /// What it is.
        answer: CallAnswer,
    },
    /// The beginning of a stream.
    Hello(Hello),
    /// Over a stream, from its session.
    Up(ToServer),
    /// Over a stream, to its session.
    Down(FromServer),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(message) => peer(message, f),
            Self::Call { of, call, asked } => write!(f, "call {of:x}/{} {asked:?}", call.0),
            Self::Answer { of, call, answer } => {
                write!(f, "answer {of:x}/{} ", call.0)?;
                match answer {
                    CallAnswer::Map(known) => map(known, f),
                    other => other.fmt(f),
                }
            }
            Self::Hello(hello) => {
                let Hello {
                    session,
                    generation,
                    after,
                    ..
                } = hello;
                write!(f, "hello {} {generation} {after}", session.0)
            }
            Self::Up(message) => message.fmt(f),
            Self::Down(FromServer::Welcome(welcome)) => {
                let (process, last) = (welcome.incarnation.0, welcome.last_number);
                write!(f, "welcome {process} {last} ")?;
                map(&welcome.map, f)
            }
            Self::Down(FromServer::Map(known)) => map(known, f),
            Self::Down(message) => message.fmt(f),
        }
    }
}

fn map(known: &SlotMap, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "map {} of {}", known.index.0, known.slots.len())?;
    if known.slots.len() > SLOTS_PRINTED_MAX {
        return Ok(());
    }
    for place in &known.slots {
        let (slot, epoch, serves) = (place.slot.number(), place.epoch.0, place.serving);
        let server = place.master.as_ref().map_or(0, |master| master.server.0);
        write!(f, " ({slot} {epoch} {:?} {server} {serves})", place.origin)?;
    }
    Ok(())
}

fn peer(message: &PeerMessage, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match message {
        PeerMessage::Raft(bytes) => {
            write!(f, "raft {} {:x}", bytes.len(), Digest::of_bytes(bytes))
        }
        PeerMessage::Relayed { call, answer } => match answer {
            CallAnswer::Map(known) => map(known, f),
            other => write!(f, "relayed {} {other:?}", call.0),
        },
        PeerMessage::Image {
            slot, epoch, chunk, ..
        } => {
            let (slot, epoch, piece) = (slot.number(), epoch.0, chunk.number);
            write!(f, "image {slot} {epoch} piece {piece}")
        }
        other => write!(f, "{other:?}"),
    }
}
