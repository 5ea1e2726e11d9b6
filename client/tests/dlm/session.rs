//! A session that goes below guards: values that stay, tasks that end, orphans.

use dlm_client::asts::{Ast, AstEvents, Asts};
use dlm_client::{Client, Lockspace, Mode, Owner, RequestFlags};

use crate::stage;

pub(crate) struct Session {
    pub(crate) number: u64,
    lockspace: Lockspace,
    asts: Asts,
    events: AstEvents,
}

impl Session {
    pub(crate) async fn join(endpoint: &str, name: &str, lockspace: &str) -> Self {
        let client: Client = stage::join(endpoint, name).await;
        let (asts, events) = client.asts();
        Self {
            number: client.id().0,
            lockspace: client.lockspace(lockspace).await.unwrap(),
            asts,
            events,
        }
    }

    /// A lock that can be had at once.
    pub(crate) async fn lock(&mut self, name: &[u8], how: (Mode, RequestFlags, u64)) -> u64 {
        let (mode, flags, owner) = how;
        let lock = self.asts.new_lock();
        let asked = self
            .asts
            .request(&self.lockspace, lock, name, mode, flags, Owner(owner));
        asked.unwrap();
        let event = self.events.next().await;
        let granted =
            matches!(event, Some(Ast::Completion { mode: Some(held), .. }) if held == mode);
        assert!(granted, "{event:?}");
        lock.0
    }

    /// Stores a value with the lock, going down to NL.
    pub(crate) async fn store(&mut self, lock: u64, value: &[u8]) {
        let (lock, flags) = (dlm_client::LockId(lock), RequestFlags::VALBLK);
        let asked = self
            .asts
            .convert(lock, Mode::Nl, flags, Owner(0), Some(value));
        asked.unwrap();
        self.events.next().await.unwrap();
    }

    /// A task of it ends, and leaves what is persistent.
    pub(crate) async fn end_task(&mut self, owner: u64) {
        self.asts.owner_ended(Owner(owner)).unwrap();
        self.asts.barrier(&self.lockspace).await.unwrap();
        while self.events.arrived().is_some() {}
    }
}
