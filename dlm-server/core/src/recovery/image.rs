//! A table taken apart for another master, and put together there.
//!
//! The old master has stopped: its table does not change while it is sent, so that a piece can be asked
//! for again. Pieces are asked for one after the other by who receives them. Times are sent as ages, since
//! every server has a clock of its own.
//!
//! What the sessions' streams have (answers that were not acknowledged, operations that were applied)
//! belongs to whoever keeps the streams. It travels in the first piece, and is not looked at here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick, Token};
use crate::mode::Mode;
use crate::resource::queue::ModeSet;
use crate::resource::value::Stored;
use crate::resource::{Lock, LockKey, Marks, ResourceKey};
use crate::table::LockTable;
use crate::table::restore::blank;
use crate::value::ValueBlock;

/// The most entries in one piece: with names and values of the largest size some 400 kilobytes, well
/// within a message of gRPC.
pub const IMAGE_ENTRIES_MAX: usize = 1024;

/// What a session's stream has for the next master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPart {
    /// Which session.
    pub session: SessionId,
    /// What, in a form that only the streams know.
    pub bytes: Box<[u8]>,
}

/// A piece of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageChunk {
    /// Its number, from 0.
    pub number: u32,
    /// Whether it is the last one.
    pub last: bool,
    /// With the first piece: what belongs to no resource.
    pub start: Option<ImageStart>,
    /// A resource is followed by its locks: granted (the newest first), converting, waiting.
    pub entries: Vec<ImageEntry>,
}

/// What belongs to no resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageStart {
    /// What the sessions' streams have.
    pub streams: Vec<StreamPart>,
    /// Dead sessions whose locks are not known, and the lockspaces that are closed for them.
    pub unknown: Vec<(SessionId, Vec<LockspaceId>)>,
}

/// A part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageEntry {
    /// A resource.
    Resource(ImageResource),
    /// A lock on the resource before it.
    Lock(ImageLock),
    /// The next one of a session's locks in the order in which they came.
    Order(SessionId, LockId),
    /// A resource that is gone, whose value was not valid, and its age in microseconds.
    Remnant(LockspaceId, ResourceName, u64),
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageResource {
    /// Its lockspace.
    pub lockspace: LockspaceId,
    /// Its name.
    pub name: ResourceName,
    /// The token of the last grant.
    pub token: Token,
    /// The modes granted under it: one bit each, the weakest mode in the lowest.
    pub token_modes: u8,
    /// Its value and the value's number.
    pub value: Option<(u64, ValueBlock)>,
    /// Whether the value is not valid.
    pub value_invalid: bool,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLock {
    /// Whose it is.
    pub session: SessionId,
    /// Its number there.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// The operation that it waits with, or had last.
    pub op: OpId,
    /// For how long it has stood where it stands, in microseconds.
    pub age_us: u64,
    /// Its position.
    pub serial: u64,
    /// The token of its last grant.
    pub token: Token,
    /// Its flags.
    pub flags: RequestFlags,
    /// Where it stands.
    pub queue: Queue,
    /// The mode that it holds.
    pub granted: Option<Mode>,
    /// The mode that it wants.
    pub requested: Option<Mode>,
    /// The strongest mode of which it was told.
    pub told: Mode,
    /// What its answer says so far.
    pub status: StatusFlags,
    /// What else the table remembers of it, as bits.
    pub marks: u8,
    /// The value that its conversion may yet store.
    pub unstored: Option<ValueBlock>,
}

/// The order in which a table that has stopped is sent.
#[derive(Clone, Debug)]
pub(super) struct Image {
    start: ImageStart,
    items: Vec<Item>,
    remnants: Vec<(Tick, (LockspaceId, ResourceName))>,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Resource(ResourceKey),
    Lock(LockKey),
    Order(LockKey),
    Remnant(usize),
}

impl Image {
    pub(super) fn new(table: &LockTable, start: ImageStart) -> Self {
        let remnants = table.remnants();
        let mut items = Vec::new();
        for (place, _) in table.resources.iter() {
            items.push(Item::Resource(place));
            items.extend(table.keys_of(place).map(Item::Lock));
        }
        for session in table.sessions.values() {
            items.extend(table.locks_of(session).map(Item::Order));
        }
        items.extend((0..remnants.len()).map(Item::Remnant));
        Self {
            start,
            items,
            remnants,
        }
    }

    /// The piece of that number, where there is one.
    pub(super) fn chunk(&self, table: &LockTable, now: Tick, number: u32) -> Option<ImageChunk> {
        let first = (number as usize).checked_mul(IMAGE_ENTRIES_MAX)?;
        if first > 0 && first >= self.items.len() {
            return None;
        }
        let end = self.items.len().min(first + IMAGE_ENTRIES_MAX);
        let items = self.items[first..end].iter();
        Some(ImageChunk {
            number,
            last: end == self.items.len(),
            start: (number == 0).then(|| self.start.clone()),
            entries: items.map(|&item| self.entry(table, now, item)).collect(),
        })
    }

    fn entry(&self, table: &LockTable, now: Tick, item: Item) -> ImageEntry {
        match item {
            Item::Resource(place) => ImageEntry::Resource(resource_of(table, place)),
            Item::Lock(key) => ImageEntry::Lock(lock_of(table, now, key)),
            Item::Order(key) => {
                let lock = &table.locks[key];
                ImageEntry::Order(lock.session, lock.id)
            }
            Item::Remnant(index) => {
                let (since, (lockspace, name)) = &self.remnants[index];
                ImageEntry::Remnant(*lockspace, name.clone(), now.since(*since))
            }
        }
    }
}

fn resource_of(table: &LockTable, place: ResourceKey) -> ImageResource {
    let resource = &table.resources[place];
    let stored = resource.value.as_deref();
    ImageResource {
        lockspace: resource.lockspace,
        name: resource.name.to_name(),
        token: resource.token,
        token_modes: resource.token_modes.bits(),
        value: stored.map(|stored| (stored.sequence, stored.value.clone())),
        value_invalid: resource.value_invalid,
    }
}

fn lock_of(table: &LockTable, now: Tick, key: LockKey) -> ImageLock {
    let lock = &table.locks[key];
    ImageLock {
        session: lock.session,
        lock: lock.id,
        owner: lock.owner,
        op: lock.op,
        age_us: now.since(lock.since),
        serial: lock.serial,
        token: lock.token,
        flags: lock.flags,
        queue: lock.queue,
        granted: lock.granted,
        requested: lock.requested,
        told: lock.told,
        status: lock.status,
        marks: lock.marks.bits(),
        unstored: table.unstored.get(&key).cloned(),
    }
}

/// A table that is put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Arriving {
    /// The resource whose locks come, and those that are granted: they are put in from the last one on.
    resource: Option<(ResourceKey, Vec<ImageLock>)>,
    serial: u64,
}

/// The image does not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Arriving {
    /// Puts a part into the table.
    pub(super) fn entry(
        &mut self,
        table: &mut LockTable,
        now: Tick,
        entry: ImageEntry,
    ) -> Result<(), Broken> {
        match entry {
            ImageEntry::Resource(image) => {
                self.finish(table, now);
                let name = (image.lockspace, &image.name);
                let found = table.index.resource(&table.resources, name.0, name.1);
                if found.is_some() || table.resources.len() >= table.limits.resources_max {
                    return Err(Broken);
                }
                let value = image
                    .value
                    .map(|(sequence, value)| Stored { sequence, value });
                let place = table.restore_resource(name, value, image.value_invalid);
                let resource = &mut table.resources[place];
                resource.token = image.token;
                resource.token_modes = ModeSet::from_bits(image.token_modes);
                self.resource = Some((place, Vec::new()));
            }
            ImageEntry::Lock(image) => {
                let (place, granted) = self.resource.as_mut().ok_or(Broken)?;
                let twice = table.find(image.session, image.lock);
                if twice != Err(crate::Refusal::NoSuchLock) {
                    return Err(Broken);
                }
                self.serial = self.serial.max(image.serial);
                if image.queue == Queue::Granted {
                    granted.push(image);
                } else {
                    put(table, now, *place, image);
                }
            }
            ImageEntry::Order(session, lock) => {
                self.finish(table, now);
                table.order_locks(session, &[lock]);
            }
            ImageEntry::Remnant(lockspace, name, age_us) => {
                table.restore_remnant(Tick(now.0.saturating_sub(age_us)), (lockspace, name));
            }
        }
        Ok(())
    }

    /// The granted locks of the resource that is complete.
    fn finish(&mut self, table: &mut LockTable, now: Tick) {
        if let Some((place, granted)) = self.resource.take() {
            for image in granted.into_iter().rev() {
                put(table, now, place, image);
            }
        }
    }

    /// Everything is there.
    pub(super) fn end(mut self, table: &mut LockTable, now: Tick) -> Result<(), Broken> {
        self.finish(table, now);
        table.counters.serial = table.epoch_base().max(self.serial);
        crate::invariants::check(table).map_err(|_| Broken)
    }
}

fn put(table: &mut LockTable, now: Tick, place: ResourceKey, image: ImageLock) {
    let lock = Lock {
        owner: image.owner,
        op: image.op,
        since: Tick(now.0.saturating_sub(image.age_us)),
        serial: image.serial,
        token: image.token,
        flags: image.flags,
        queue: image.queue,
        granted: image.granted,
        requested: image.requested,
        told: image.told,
        status: image.status,
        marks: Marks::from_bits_truncate(image.marks),
        ..blank(image.session, image.lock, place)
    };
    table.restore_lock(place, lock, image.unstored);
}
