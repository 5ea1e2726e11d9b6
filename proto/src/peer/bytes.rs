//! How many bytes a message between servers may take.
//!
//! A number takes up to ten bytes, four where it has 32 bits at most five, and its tag one. What is written
//! here is more than that, and is checked against the messages as they are encoded.

use dlm_core::ValueBlock;
use dlm_core::call::CallAnswer;
use dlm_core::link::{Done, Event};
use dlm_core::peer::{HandedLedger, HandedSession, PeerMessage, Proposal};
use dlm_core::recovery::{ImageChunk, ImageEntry, ImageStart};

/// The tags and lengths around a message and its parts, and a few numbers.
const AROUND: usize = 96;

/// A name of a session or lockspace, nonces and options.
const CALL: usize = 256;

/// Two addresses of a server, and numbers.
const STARTED: usize = 640;

/// One address, or a refusal.
const ENDED: usize = 320;

/// A slot of a map, its master with it.
const PLACE: usize = 384;

/// The number of a slot, and an epoch.
const SLOT: usize = 24;

/// All of a lock but its value.
const LOCK: usize = 144;

/// All of a resource but its name and its value.
const RESOURCE: usize = 96;

/// An event without a value, the operation with it.
const EVENT: usize = 128;

pub(super) fn of_message(message: &PeerMessage) -> usize {
    AROUND
        + match message {
            PeerMessage::Raft(bytes) => bytes.len(),
            PeerMessage::Renew { .. }
            | PeerMessage::Renewed { .. }
            | PeerMessage::ImageWanted { .. } => 0,
            PeerMessage::Relay { .. } => CALL,
            PeerMessage::Relayed { answer, .. } => of_answer(answer),
            PeerMessage::Propose(proposal) => of_proposal(proposal),
            PeerMessage::Image { chunk, ledger, .. } => {
                of_chunk(chunk) + ledger.as_ref().map_or(0, of_ledger)
            }
        }
}

fn of_answer(answer: &CallAnswer) -> usize {
    match answer {
        CallAnswer::Opened { replays, .. } => CALL + replays.len() * 16,
        CallAnswer::Map(map) => map.slots.len() * PLACE,
        _ => ENDED,
    }
}

fn of_proposal(proposal: &Proposal) -> usize {
    match proposal {
        Proposal::Serving { slots, .. } => slots.len() * SLOT,
        _ => STARTED,
    }
}

fn of_chunk(chunk: &ImageChunk) -> usize {
    let entries = chunk.entries.iter().map(of_entry).sum::<usize>();
    entries + chunk.start.as_ref().map_or(0, of_start)
}

fn of_start(start: &ImageStart) -> usize {
    let streams = start.streams.iter().map(|part| AROUND + part.bytes.len());
    let unknown = start.unknown.iter();
    let unknown = unknown.map(|(_, lockspaces)| AROUND + lockspaces.len() * 8);
    streams.sum::<usize>() + unknown.sum::<usize>()
}

fn of_entry(entry: &ImageEntry) -> usize {
    match entry {
        ImageEntry::Resource(image) => {
            let value = image.value.as_ref();
            let value = value.map_or(0, |(_, value)| value.as_bytes().len());
            RESOURCE + image.name.as_bytes().len() + value
        }
        ImageEntry::Lock(image) => LOCK + of_value(image.unstored.as_ref()),
        ImageEntry::Order(..) => RESOURCE,
        ImageEntry::Remnant(_, name, _) => RESOURCE + name.as_bytes().len(),
    }
}

fn of_value(value: Option<&ValueBlock>) -> usize {
    value.map_or(0, |value| value.as_bytes().len())
}

fn of_ledger(ledger: &HandedLedger) -> usize {
    ledger.sessions.iter().map(of_session).sum()
}

fn of_session(part: &HandedSession) -> usize {
    let answered = part.answered.iter().map(|(_, event)| of_event(event));
    let notices = part.notices.iter().map(of_event);
    AROUND + answered.chain(notices).sum::<usize>() + part.waiting.len() * EVENT
}

fn of_event(event: &Event) -> usize {
    let value = match event {
        Event::Done(Done { value, .. }) => of_value(value.as_ref().map(|(_, value)| value)),
        _ => 0,
    };
    EVENT + value
}
