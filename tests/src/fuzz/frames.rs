//! Bytes as frames: nothing panics, and what parses is the same after it was rendered.

use dlm_core::link::ToServer;
use glockwork_proto::wire::{FromServerFrame, PeerFrame, ToServerFrame};
use glockwork_proto::{convert, render};
use prost::Message;

/// Reads bytes as a frame of a session, of a server to a session, and of a server to another.
///
/// # Panics
/// Where a frame that parses is another one after it was rendered.
pub fn run(bytes: &[u8]) {
    if let Ok(frame) = ToServerFrame::decode(bytes) {
        from_session(frame);
    }
    if let Ok(frame) = FromServerFrame::decode(bytes) {
        from_server(frame);
    }
    if let Ok(frame) = PeerFrame::decode(bytes) {
        from_peer(frame);
    }
}

fn from_session(frame: ToServerFrame) {
    let Ok(mut parsed) = convert::to_server_frame(frame) else {
        return;
    };
    // No client says what cannot be read.
    let unreadable = |message: &ToServer| matches!(message, ToServer::Unreadable { .. });
    parsed.messages.retain(|message| !unreadable(message));
    let rendered = over_the_wire(&render::to_server_frame(parsed.clone()));
    let again = convert::to_server_frame(rendered).expect("a frame");
    assert_eq!(again, parsed);
}

fn from_server(frame: FromServerFrame) {
    if let Ok(parsed) = convert::from_server_frame(frame) {
        let rendered = over_the_wire(&render::from_server_frame(parsed.clone()));
        let again = convert::from_server_frame(rendered).expect("a frame");
        assert_eq!(again, parsed);
    }
}

fn from_peer(frame: PeerFrame) {
    if let Ok(parsed) = convert::peer_frame(frame) {
        let rendered = over_the_wire(&render::peer_frame(parsed.clone()));
        let again = convert::peer_frame(rendered).expect("a frame");
        assert_eq!(again, parsed);
    }
}

fn over_the_wire<M: Message + Default>(message: &M) -> M {
    let bytes = message.encode_to_vec();
    M::decode(&bytes[..]).expect("what was written")
}
