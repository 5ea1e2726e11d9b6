//! The journal of a server, with names in the place of numbers.

use std::collections::BTreeMap;

use dlm_core::{LockspaceId, ResourceName, ServerId, SessionId, SlotId, Tick};
use glockwork_proto::events::{Event, History};

use crate::error::LookError;
use crate::journal::Entry;
use crate::node::Node;

/// Events as they were found, and what they need to be told of.
#[derive(Clone, Debug)]
pub struct Found {
    entries: Vec<Entry>,
    sessions: BTreeMap<SessionId, String>,
    lockspaces: BTreeMap<LockspaceId, String>,
    server: ServerId,
    started: Tick,
    now: Tick,
    /// The number from which on to read next.
    pub next: u64,
    /// So many were gone before they were read.
    pub missed: u64,
    /// Whether there are more.
    pub more: bool,
}

impl Found {
    fn new(node: &Node, now: Tick, entries: Vec<Entry>) -> Self {
        let mut found = Self {
            entries: Vec::new(),
            sessions: BTreeMap::new(),
            lockspaces: BTreeMap::new(),
            server: node.server(),
            started: node.started(),
            now,
            next: 0,
            missed: 0,
            more: false,
        };
        for entry in &entries {
            for session in [Some(entry.session), entry.by].into_iter().flatten() {
                let name = || session_name(node, session);
                found.sessions.entry(session).or_insert_with(name);
            }
            let name = || lockspace_name(node, entry.lockspace);
            found.lockspaces.entry(entry.lockspace).or_insert_with(name);
        }
        found.entries = entries;
        found
    }

    /// The events. Not to be made within the loop, where many are.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        let session = |session| self.sessions.get(&session).cloned().unwrap_or_default();
        let events = self.entries.into_iter().map(|entry| {
            let of_slot = entry.kind.is_of_slot();
            let lockspace = self.lockspaces.get(&entry.lockspace).filter(|_| !of_slot);
            Event {
                server: self.server,
                sequence: entry.sequence,
                at_us: entry.at.since(self.started),
                age_us: self.now.since(entry.at),
                kind: entry.kind,
                lockspace: lockspace.cloned().unwrap_or_default(),
                name: entry.name,
                session: entry.session,
                session_name: match of_slot {
                    true => String::new(),
                    false => session(entry.session),
                },
                lock: entry.lock,
                owner: entry.owner,
                had: entry.had,
                mode: entry.mode,
                token: entry.token,
                waited_us: entry.waited_us,
                held_us: entry.held_us,
                status: entry.status,
                by: entry.by.map(|by| (by, session(by))),
                ended: entry.ended,
                slot: entry.slot,
                epoch: entry.epoch,
            }
        });
        events.collect()
    }
}

/// What a session is called, or was.
pub(crate) fn session_name(node: &Node, session: SessionId) -> String {
    let known = node.state().sessions().get(&session);
    let name = known.map(|known| &known.name);
    let name = name.or_else(|| node.journal().names().session(session));
    name.map_or_else(
        || format!("session {}", session.0),
        |name| name.as_str().to_owned(),
    )
}

/// What a lockspace is called, or was.
pub(crate) fn lockspace_name(node: &Node, lockspace: LockspaceId) -> String {
    let known = node.state().lockspaces().get(&lockspace);
    let name = known.map(|known| &known.name);
    let ended = &node.state().lockspace_numbers().ended;
    let name = name.or_else(|| node.journal().names().lockspace(lockspace));
    let name = name.or_else(|| ended.get(&lockspace.base()).map(|ended| &ended.name));
    name.map_or_else(
        || format!("lockspace {}", lockspace.0),
        |name| name.as_str().to_owned(),
    )
}

/// At most so many events from a number on.
#[must_use]
pub fn read(node: &Node, now: Tick, from: u64, max: usize) -> Found {
    let read = node.journal().read(from, max);
    let more = read.next < node.journal().next();
    Found {
        next: read.next,
        missed: read.missed,
        more,
        ..Found::new(node, now, read.entries)
    }
}

/// Where a resource is mastered, as far as this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The resource's lockspace; one that has ended, by the number of its first generation.
    pub lockspace: LockspaceId,
    /// Its slot.
    pub slot: SlotId,
    /// The slot's master, where it has one.
    pub master: Option<ServerId>,
}

/// Finds a resource, whose lockspace need not be open any more.
///
/// # Errors
/// [`LookError::NoSuchLockspace`].
pub fn place(node: &Node, lockspace: &str, name: &ResourceName) -> Result<Place, LookError> {
    let state = node.state();
    let mut open = state.lockspaces().iter();
    let open = open.find(|(_, one)| one.name.as_str() == lockspace);
    let found = open.map(|(&id, _)| id).or_else(|| {
        let mut ended = state.lockspace_numbers().ended.iter();
        let (&base, _) = ended.find(|(_, one)| one.name.as_str() == lockspace)?;
        LockspaceId::new(base, 0)
    });
    let lockspace = found.ok_or_else(|| LookError::NoSuchLockspace(lockspace.to_owned()))?;
    let slot = SlotId::of(lockspace, name);
    let master = state.slot(slot).master.map(|master| master.server);
    Ok(Place {
        lockspace,
        slot,
        master,
    })
}

/// What this server remembers of a resource.
#[must_use]
pub fn history(node: &Node, now: Tick, place: Place, name: &ResourceName) -> History {
    let known = node.journal().of_resource(place.lockspace, name);
    let remembered = node.journal().remembered();
    History {
        // A few.
        events: Found::new(node, now, known.entries).into_events(),
        server: node.server(),
        slot: place.slot,
        epoch: node.state().slot(place.slot).epoch,
        dropped: known.dropped,
        resources: remembered.resources as u64,
        forgotten: remembered.forgotten,
    }
}
