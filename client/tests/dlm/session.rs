//! A session that does what the client library does not yet: value blocks and orphans.

use glockwork_proto::wire::{self, lock_client::LockClient, operation::Kind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub(crate) const VALBLK: u32 = 0x8;
pub(crate) const PERSISTENT: u32 = 0x80;

pub(crate) struct Session {
    pub(crate) number: u64,
    to: mpsc::Sender<wire::ClientFrame>,
    from: Streaming<wire::ServerFrame>,
    last_op: u64,
    lockspace: u32,
}

impl Session {
    pub(crate) async fn join(endpoint: &str, name: &str, lockspace: &str) -> Self {
        let (to, frames) = mpsc::channel(4);
        let hello = wire::Hello {
            version_min: 1,
            version_max: 1,
            name: name.into(),
        };
        let first = wire::ClientFrame {
            hello: Some(hello),
            ..wire::ClientFrame::default()
        };
        to.send(first).await.unwrap();
        let endpoint = dlm_client::endpoints::parse(endpoint).unwrap();
        let mut client = LockClient::new(endpoint.connect().await.unwrap());
        let stream = client.session(ReceiverStream::new(frames)).await;
        let mut from = stream.unwrap().into_inner();
        let welcome = from.message().await.unwrap().unwrap().welcome.unwrap();
        let mut session = Self {
            number: welcome.session,
            to,
            from,
            last_op: 0,
            lockspace: 0,
        };
        let open = Kind::OpenLockspace(wire::OpenLockspace {
            name: lockspace.into(),
            options: None,
        });
        let Some(wire::event::Kind::LockspaceOpened(opened)) = session.call(open).await else {
            panic!("it opens");
        };
        session.lockspace = opened.lockspace;
        session
    }

    /// Does one thing, and waits for the first event after it.
    async fn call(&mut self, kind: Kind) -> Option<wire::event::Kind> {
        self.last_op += 1;
        let operation = wire::Operation {
            op: self.last_op,
            kind: Some(kind),
        };
        let frame = wire::ClientFrame {
            operations: vec![operation],
            ..wire::ClientFrame::default()
        };
        self.to.send(frame).await.unwrap();
        loop {
            let frame = self.from.message().await.unwrap().unwrap();
            if let Some(event) = frame.events.into_iter().next() {
                return event.kind;
            }
        }
    }

    /// A lock that can be had at once.
    pub(crate) async fn lock(&mut self, lock: u64, name: &[u8], how: (wire::Mode, u32, u64)) {
        let (mode, flags, owner) = how;
        let request = Kind::Request(wire::Request {
            lockspace: self.lockspace,
            lock,
            name: name.to_vec().into(),
            mode: mode.into(),
            flags,
            owner,
        });
        let Some(wire::event::Kind::Done(done)) = self.call(request).await else {
            panic!("it is answered");
        };
        assert_eq!(done.mode, i32::from(mode), "{done:?}");
    }

    /// Stores a value with the lock, going down to NL.
    pub(crate) async fn store(&mut self, lock: u64, value: &[u8]) {
        let convert = Kind::Convert(wire::Convert {
            lock,
            mode: wire::Mode::Nl.into(),
            flags: VALBLK,
            owner: 0,
            value: Some(value.to_vec().into()),
        });
        self.call(convert).await;
    }

    /// A task of it ends, and leaves what is persistent.
    pub(crate) async fn end_task(&mut self, owner: u64) {
        let ended = Kind::OwnerEnded(wire::OwnerEnded { owner });
        self.call(ended).await;
    }
}
