//! Histories made up by hand, one resource, one lock a session.

use dlm_core::{Epoch, LockId, LockspaceId, Mode, RequestFlags, ResourceName, Status, Tick, Token};

use super::{ClientId, End, Fact, History, Lock, Resource, Stored, Ticket, Want};
use crate::sim::ProcessId;

/// A history that grows a millisecond with each fact.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) history: History,
    pub(super) now: Tick,
    tickets: u64,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            history: History::default(),
            now: Tick(1_000),
            tickets: 0,
        }
    }

    pub(super) fn client(number: u64) -> ClientId {
        ClientId(number)
    }

    pub(super) fn lock(number: u64) -> Lock {
        Lock {
            client: Self::client(number),
            lock: LockId(number),
        }
    }

    pub(super) fn resource(&self) -> Resource {
        Resource {
            lockspace: LockspaceId(1),
            name: ResourceName::new(b"inode 7").expect("a name"),
        }
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        self.now = self.now.plus(1);
        self.history.push(self.now, ProcessId(0), fact);
    }

    pub(super) fn recovered(&mut self, slot: u32, epoch: u32) {
        let epoch = Epoch(epoch);
        self.fact(Fact::Recovered { slot, epoch });
    }

    pub(super) fn ask_with(
        &mut self,
        number: u64,
        want: Want,
        flags: RequestFlags,
        value: Option<&[u8]>,
    ) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.fact(Fact::Asked {
            lock: Self::lock(number),
            ticket,
            want,
            flags,
            value: value.map(<[u8]>::to_vec),
        });
        ticket
    }

    pub(super) fn ask(&mut self, number: u64, want: Want) -> Ticket {
        self.ask_with(number, want, RequestFlags::empty(), None)
    }

    pub(super) fn request(&mut self, number: u64, mode: Mode) -> Ticket {
        let resource = self.resource();
        self.ask(number, Want::Request { resource, mode })
    }

    pub(super) fn queued(&mut self, number: u64, ticket: Ticket, serial: u64) {
        let lock = Self::lock(number);
        self.fact(Fact::Queued {
            lock,
            ticket,
            serial,
        });
    }

    pub(super) fn ended(&mut self, number: u64, ticket: Ticket, end: End) {
        let lock = Self::lock(number);
        self.fact(Fact::Ended { lock, ticket, end });
    }

    pub(super) fn end(&mut self, number: u64, ticket: Ticket, mode: Mode, token: u64) {
        let end = End {
            status: Status::Granted,
            mode: Some(mode),
            token: Token(token),
            value: None,
        };
        self.ended(number, ticket, end);
    }

    pub(super) fn end_without(&mut self, number: u64, ticket: Ticket) {
        let end = End {
            status: Status::Unlocked,
            mode: None,
            token: Token(0),
            value: None,
        };
        self.ended(number, ticket, end);
    }

    pub(super) fn granted(&mut self, number: u64, mode: Mode, token: u64) {
        let ticket = self.request(number, mode);
        self.end(number, ticket, mode, token);
    }

    /// A request that reads the value.
    pub(super) fn reads(&mut self, number: u64, mode: Mode, value: Stored) {
        let resource = self.resource();
        let want = Want::Request { resource, mode };
        let ticket = self.ask_with(number, want, RequestFlags::VALBLK, None);
        let end = End {
            status: Status::Granted,
            mode: Some(mode),
            token: Token(self.tickets),
            value: Some(value),
        };
        self.ended(number, ticket, end);
    }

    /// An unlock that stores a value, or marks it as not valid where there is none.
    pub(super) fn stores(&mut self, number: u64, value: Option<&[u8]>) -> Ticket {
        let valid = RequestFlags::VALBLK;
        let flags = value.map_or(RequestFlags::IVVALBLK, |_| valid);
        self.ask_with(number, Want::Unlock, flags, value)
    }
}
