//! Bytes as frames: nothing panics, and what parses is the same after it was rendered.

use glockwork_proto::wire::{ClientFrame, ServerFrame};
use glockwork_proto::{convert, render};
use prost::Message;

/// Reads bytes as a client's and as a server's frame.
///
/// # Panics
/// Where a frame that parses is another one after it was rendered.
pub fn run(bytes: &[u8]) {
    if let Ok(frame) = ClientFrame::decode(bytes) {
        client(frame);
    }
    if let Ok(frame) = ServerFrame::decode(bytes) {
        server(frame);
    }
}

fn client(frame: ClientFrame) {
    if let Ok(hello) = convert::hello(frame.clone()) {
        let again = convert::hello(over_the_wire(&render::hello(&hello)));
        assert_eq!(again.expect("a hello"), hello);
    }
    if let Ok(parsed) = convert::client_frame(frame) {
        let rendered = over_the_wire(&render::client_frame(&parsed.frame));
        let again = convert::client_frame(rendered).expect("a frame");
        assert_eq!(again.frame, parsed.frame);
        assert!(again.refused.is_empty(), "{:?}", again.refused);
    }
}

fn server(frame: ServerFrame) {
    if let Ok(welcome) = convert::welcome(&frame) {
        let again = convert::welcome(&over_the_wire(&render::welcome(welcome)));
        assert_eq!(again.expect("a welcome"), welcome);
    }
    if let Ok(parsed) = convert::server_frame(frame) {
        let rendered = over_the_wire(&render::server_frame(&parsed));
        let again = convert::server_frame(rendered).expect("a frame");
        assert_eq!(again, parsed);
    }
}

fn over_the_wire<M: Message + Default>(message: &M) -> M {
    let bytes = message.encode_to_vec();
    M::decode(&bytes[..]).expect("what was written")
}
