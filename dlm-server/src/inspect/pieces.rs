//! Looking at this server, a piece at a time.

use dlm_core::{LockspaceId, Tick};
use glockwork_proto::coverage::Coverage;
use glockwork_proto::render::{ListedResource, LocksPages};

use super::Look;
use crate::error::LookError;
use crate::view::counts::{self, Counts};
use crate::view::graph::{self, Seen, Which};
use crate::view::locks::{self, LocksCursor};
use crate::view::{first_slot, names};

/// All counts of this server's slots.
pub(super) async fn count<L: Look>(look: &L) -> Result<Counts, LookError> {
    let (mut counts, mut next) = (Counts::default(), Some(first_slot()));
    while let Some(from) = next {
        let before = std::mem::take(&mut counts);
        let counted = look.look(move |node, _| counts::count(node, from, before));
        (counts, next) = counted.await?;
    }
    Ok(counts)
}

/// The locks of this server's slots, and when the last of them was looked at.
pub(super) async fn see<L: Look>(look: &L, which: Which) -> Result<(Seen, Tick), LookError> {
    let (mut seen, mut next, mut at) = (Seen::default(), Some(first_slot()), Tick(0));
    while let Some(from) = next {
        let before = std::mem::take(&mut seen);
        let looked = look.look(move |node, now| (graph::look(node, which, from, before), now));
        ((seen, next), at) = looked.await?;
    }
    Ok((seen, at))
}

/// The list of this server's locks, in order.
pub(super) async fn list<L: Look>(
    look: &L,
    lockspace: Option<LockspaceId>,
) -> Result<(LocksPages, Coverage), LookError> {
    let mut resources: Vec<ListedResource> = Vec::new();
    let mut coverage = Coverage::default();
    let mut next = Some(LocksCursor::start());
    while let Some(from) = next {
        let looked = look.look(move |node, _| locks::locks(node, lockspace, &from));
        let piece = looked.await?;
        resources.extend(piece.resources);
        coverage.slots.extend(piece.slots);
        next = piece.next;
    }
    let looked =
        look.look(|node, now| (names(node), node.server(), now.since(node.started()), now));
    let (names, server, uptime_us, now) = looked.await?;
    locks::sort(&mut resources, &names);
    let pages = LocksPages::new(resources, names, (server, now)).since(uptime_us);
    Ok((pages, coverage))
}
