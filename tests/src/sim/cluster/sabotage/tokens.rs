//! A server whose count of tokens begins again with each resource.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::link::{Event, FromServer};
use dlm_core::{LockId, LockspaceId, ResourceName, SessionId, SlotId, Status, Token};
use dlm_server::node::Node;

/// What was counted before a resource began again.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    before: BTreeMap<(LockspaceId, ResourceName), u64>,
    known: BTreeSet<(SessionId, LockId)>,
}

impl Tokens {
    pub(super) fn says(
        &mut self,
        session: SessionId,
        mut message: FromServer,
        node: &Node,
    ) -> FromServer {
        if let FromServer::Event {
            slot: Some((slot, _)),
            event: Event::Done(done),
            ..
        } = &mut message
            && done.status == Status::Granted
        {
            self.lower(node, *slot, (session, done.lock), &mut done.token);
        }
        message
    }

    fn lower(
        &mut self,
        node: &Node,
        slot: SlotId,
        (session, lock): (SessionId, LockId),
        token: &mut Token,
    ) {
        let master = node.masters().find(|master| master.slot() == slot);
        let views = master.map(|master| master.table().view(None));
        let mut views = views.into_iter().flatten();
        let view = views.find(|view| {
            let mut locks = view.locks.iter();
            locks.any(|one| (one.session, one.lock) == (session, lock))
        });
        let Some(view) = view else { return };
        let alone = view.locks.len() == 1;
        let key = (view.lockspace, view.name);
        let is_new = self.known.insert((session, lock));
        // The count is in the lower bits, and begins with 1.
        let count = token.0 & ((1 << 40) - 1);
        if alone && is_new {
            self.before.insert(key.clone(), count - 1);
        }
        let before = self.before.get(&key).copied().unwrap_or_default();
        token.0 -= before.min(count - 1);
    }
}
