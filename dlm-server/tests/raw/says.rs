//! What it says on its stream.

use dlm_core::link::{EverywhereKind, OperationKind, ToServer};
use dlm_core::{LockId, Mode, OpId, Owner, RequestFlags, SlotId, Status};

use super::{Raw, Told, frame, resource};

impl Raw {
    /// Where a resource of its lockspace is.
    pub(crate) fn slot_of(&self, name: &str) -> SlotId {
        SlotId::of(self.lockspace, &resource(name))
    }

    /// Gives it the next number, and the place of the lock that it is about.
    pub(crate) fn numbered(&mut self, kind: OperationKind) -> ToServer {
        let lock = kind.lock().0;
        if let OperationKind::Request {
            lockspace, name, ..
        } = &kind
        {
            self.slots.insert(lock, SlotId::of(*lockspace, name));
        }
        let nowhere = SlotId::new(0).unwrap();
        let slot = self.slots.get(&lock).copied().unwrap_or(nowhere);
        self.number += 1;
        self.op += 1;
        ToServer::Operation {
            number: self.number,
            op: OpId(self.op),
            slot,
            epoch: self.epochs[&slot],
            kind,
        }
    }

    /// Sends one operation in a frame of its own, and with it how far it has read.
    pub(crate) async fn send(&mut self, kind: OperationKind) {
        let message = self.numbered(kind);
        self.send_all(vec![message]).await;
    }

    pub(crate) async fn send_everywhere(&mut self, kind: EverywhereKind) {
        self.number += 1;
        self.op += 1;
        let (number, op) = (self.number, OpId(self.op));
        self.send_all(vec![ToServer::Everywhere { number, op, kind }])
            .await;
    }

    /// Sends these in one frame.
    pub(crate) async fn send_all(&mut self, mut messages: Vec<ToServer>) {
        let sequence = self.seen;
        if self.acknowledges {
            messages.push(ToServer::Acknowledge { sequence });
        }
        let frame = frame(messages);
        self.link.send(frame).await;
    }

    /// A request for lock `lock` on resource `name`.
    pub(crate) fn request_for(&self, lock: u64, name: &str, mode: Mode) -> OperationKind {
        OperationKind::Request {
            lockspace: self.lockspace,
            lock: LockId(lock),
            name: resource(name),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        }
    }

    pub(crate) async fn request(&mut self, lock: u64, name: &str, mode: Mode) {
        let request = self.request_for(lock, name, mode);
        self.send(request).await;
    }

    /// Whether it would get the lock at once; it does not keep it.
    pub(crate) async fn could_get(&mut self, name: &str, mode: Mode) -> bool {
        const LOCK: u64 = u64::MAX;
        let OperationKind::Request {
            lockspace,
            lock,
            name,
            owner,
            ..
        } = self.request_for(LOCK, name, mode)
        else {
            panic!("a request");
        };
        let flags = RequestFlags::NOQUEUE;
        self.send(OperationKind::Request {
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
        })
        .await;
        let Told::Done(LOCK, status, _) = self.told().await else {
            panic!("the answer to a try");
        };
        match status {
            Status::TryFailed => false,
            Status::Granted => {
                self.unlock(LOCK).await;
                let unlocked = Told::Done(LOCK, Status::Unlocked, None);
                assert_eq!(self.told().await, unlocked);
                true
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn unlock_of(lock: u64) -> OperationKind {
        OperationKind::Unlock {
            lock: LockId(lock),
            flags: RequestFlags::empty(),
            value: None,
        }
    }

    pub(crate) async fn unlock(&mut self, lock: u64) {
        self.send(Self::unlock_of(lock)).await;
    }

    pub(crate) async fn cancel(&mut self, lock: u64) {
        let lock = LockId(lock);
        self.send(OperationKind::Cancel { lock }).await;
    }
}
