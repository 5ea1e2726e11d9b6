//! What stands between a program and the kernel's lock manager: its device, `fs/dlm/user.c`.
//!
//! The recordings were made through it, and it has habits of its own:
//!
//! - a lock's id is the lowest number that is free, so that a stale id may mean somebody else's lock;
//! - any client may use any lock's id. The events go to the client that asked for the lock, with the tag
//!   of whoever used it last;
//! - a lock has a buffer from the first operation with `VALBLK` on. Every conversion and unlock overwrites
//!   it with the caller's text, and it is copied back with every completion without an error but where
//!   the two modes, as of the last completion and now, are ones between which a value is stored;
//! - a client that is closed hears nothing any more.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::value::Transfer;
use dlm_core::{Input, LockId, LockspaceId, Mode, OpId, Output, Owner, Refusal, RequestFlags};
use dlm_core::{ResourceName, SessionId, Status, StatusFlags, ValueBlock};

use super::language::{Operation, Options};
use super::{Event, Kernel, Ret, What};

/// The session that all clients belong to: they are processes of one node.
pub const SESSION: SessionId = SessionId(1);
/// The lockspace of all resources.
pub const LOCKSPACE: LockspaceId = LockspaceId(1);

/// A lock manager, behind the desk. [`SESSION`] lives in it and has opened [`LOCKSPACE`].
pub trait Locks {
    /// Does what it is told, and returns everything that came of it, in order.
    fn step(&mut self, input: Input) -> Vec<Output>;
    /// Lets time pass.
    fn wait(&mut self, ms: u64);
}

/// The desk.
pub struct Desk<L> {
    locks: L,
    open: BTreeMap<LockId, Open>,
    tags: BTreeMap<String, LockId>,
    ops: u64,
    no_blocking_callbacks: bool,
}

/// What the desk knows of a lock.
struct Open {
    /// Who hears of it; nobody, once that one was closed.
    client: Option<u64>,
    /// The client that it is a lock of.
    owner: Owner,
    resource: Vec<u8>,
    completion_tag: String,
    blocking_tag: String,
    no_blocking_callbacks: bool,
    buffer: Option<Vec<u8>>,
    /// The mode as of the last completion.
    mode: Option<Mode>,
}

const EINVAL: Ret = "-EINVAL";
const ENOENT: Ret = "-ENOENT";
const EAGAIN: Ret = "-EAGAIN";

impl<L: Locks> Desk<L> {
    /// A desk without clients in front of `locks`.
    pub const fn new(locks: L) -> Self {
        Self {
            locks,
            open: BTreeMap::new(),
            tags: BTreeMap::new(),
            ops: 0,
            no_blocking_callbacks: false,
        }
    }

    /// What is behind the desk.
    pub const fn locks(&self) -> &L {
        &self.locks
    }

    /// What clients hear of outputs that came of no step of theirs.
    pub fn hear(&mut self, outputs: Vec<Output>) -> Vec<Event> {
        self.deliver(OpId(0), outputs)
    }

    fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    fn lock(
        &mut self,
        (client, tag): (u64, &str),
        resource: &str,
        mode: Option<Mode>,
        options: &Options,
    ) -> (Ret, Vec<Event>) {
        let silent = std::mem::take(&mut self.no_blocking_callbacks);
        let answer = self.new_lock((client, tag), resource, mode, options, silent);
        if answer.0 != "lkid" {
            self.tags.insert(tag.to_owned(), LockId(0));
        }
        answer
    }

    fn new_lock(
        &mut self,
        (client, tag): (u64, &str),
        resource: &str,
        mode: Option<Mode>,
        options: &Options,
        no_blocking_callbacks: bool,
    ) -> (Ret, Vec<Event>) {
        let flags = options.flags;
        if options.no_completion {
            return (EINVAL, Vec::new());
        }
        if flags.contains(RequestFlags::CONVERT) {
            return (ENOENT, Vec::new());
        }
        let bytes = name_bytes(resource, options.name_length);
        let (Ok(name), Some(mode)) = (ResourceName::new(&bytes), mode) else {
            let ret = self.no_such_name_or_mode(flags, &bytes);
            return (ret, Vec::new());
        };
        let (op, owner) = (self.next_op(), Owner(client));
        let lock = self.lowest_free();
        let opened = Open {
            client: Some(client),
            owner,
            resource: bytes,
            completion_tag: tag.to_owned(),
            blocking_tag: tag.to_owned(),
            no_blocking_callbacks,
            buffer: flags.contains(RequestFlags::VALBLK).then(Vec::new),
            mode: None,
        };
        let outputs = self.locks.step(Input::Request {
            session: SESSION,
            op,
            lockspace: LOCKSPACE,
            lock,
            name,
            mode,
            flags,
            owner,
        });
        let mut id = lock;
        match first_answer(&outputs, op) {
            Some((_, Status::Refused(refusal))) => return (errno(refusal), Vec::new()),
            Some((orphan, Status::Adopted)) => {
                id = orphan;
                let adopted = self.open.get_mut(&orphan);
                let adopted = adopted.expect("an orphan has been a lock before");
                let (buffer, mode) = (adopted.buffer.take(), adopted.mode);
                *adopted = Open {
                    buffer,
                    mode,
                    ..opened
                };
            }
            _ => {
                self.open.insert(lock, opened);
            }
        }
        self.tags.insert(tag.to_owned(), id);
        ("lkid", self.deliver(op, outputs))
    }

    /// What a request is told whose name is too long, or whose mode is none.
    fn no_such_name_or_mode(&self, flags: RequestFlags, name: &[u8]) -> Ret {
        if !flags.contains(RequestFlags::ORPHAN) {
            return EINVAL;
        }
        let is_orphan = |open: &Open| open.client.is_none() && open.resource == name;
        if self.open.values().any(is_orphan) {
            EAGAIN
        } else {
            ENOENT
        }
    }

    fn convert(&mut self, tag: &str, mode: Option<Mode>, options: &Options) -> (Ret, Vec<Event>) {
        let silent = std::mem::take(&mut self.no_blocking_callbacks);
        if options.no_completion {
            return (EINVAL, Vec::new());
        }
        let Some((lock, open)) = find(&self.tags, &mut self.open, tag) else {
            return (ENOENT, Vec::new());
        };
        tag.clone_into(&mut open.completion_tag);
        tag.clone_into(&mut open.blocking_tag);
        open.no_blocking_callbacks = silent;
        if options.flags.contains(RequestFlags::VALBLK) {
            open.buffer.get_or_insert_default();
        }
        let (value, owner) = (open.fill(&options.value), open.owner);
        let Some(mode) = mode else {
            return (EINVAL, Vec::new());
        };
        let op = self.next_op();
        self.operate(
            op,
            Input::Convert {
                session: SESSION,
                op,
                lock,
                mode,
                flags: options.flags,
                owner,
                value,
            },
        )
    }

    fn unlock(&mut self, tag: &str, options: &Options) -> (Ret, Vec<Event>) {
        let Some((lock, open)) = find(&self.tags, &mut self.open, tag) else {
            return (ENOENT, Vec::new());
        };
        tag.clone_into(&mut open.completion_tag);
        let cancels = options.flags.contains(RequestFlags::CANCEL);
        let value = (!cancels).then(|| open.fill(&options.value)).flatten();
        let op = self.next_op();
        self.operate(
            op,
            Input::Unlock {
                session: SESSION,
                op,
                lock,
                flags: options.flags,
                value,
            },
        )
    }

    fn operate(&mut self, op: OpId, input: Input) -> (Ret, Vec<Event>) {
        let outputs = self.locks.step(input);
        if let Some((_, Status::Refused(refusal))) = first_answer(&outputs, op) {
            return (errno(refusal), Vec::new());
        }
        ("0", self.deliver(op, outputs))
    }

    fn close(&mut self, client: u64) -> (Ret, Vec<Event>) {
        let op = self.next_op();
        let mut gone = BTreeSet::new();
        for (&lock, open) in &mut self.open {
            if open.client == Some(client) {
                open.client = None;
                gone.insert(lock);
            }
        }
        let outputs = self.locks.step(Input::OwnerEnded {
            session: SESSION,
            op,
            owner: Owner(client),
        });
        for output in &outputs {
            if let Output::Orphaned { lock, .. } = output {
                gone.remove(lock);
            }
        }
        let events = self.deliver(op, outputs);
        for lock in gone {
            self.open.remove(&lock);
        }
        ("0", events)
    }

    /// What clients hear of these outputs. `op` is the step's own operation.
    fn deliver(&mut self, op: OpId, outputs: Vec<Output>) -> Vec<Event> {
        let (mut events, mut gone) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::Done {
                    op: answered,
                    lock,
                    status,
                    mode,
                    flags,
                    value,
                    ..
                } => {
                    let Some(open) = self.open.get_mut(&lock) else {
                        continue;
                    };
                    // An unlock ends the operation in progress, and is the only one that is answered.
                    if status != Status::Unlocked || answered == op {
                        events.extend(open.complete(status, mode, flags, value));
                    }
                    if mode.is_none() {
                        gone.push(lock);
                    }
                }
                Output::Blocking { lock, mode, .. } => {
                    let open = &self.open[&lock];
                    if let (Some(client), false) = (open.client, open.no_blocking_callbacks) {
                        events.push(Event {
                            client,
                            tag: open.blocking_tag.clone(),
                            what: What::Blocking {
                                mode: mode.name().to_owned(),
                            },
                        });
                    }
                }
                Output::Orphaned { .. } | Output::Purged { .. } | Output::Queued { .. } => {}
            }
        }
        for lock in gone {
            self.open.remove(&lock);
        }
        events
    }

    fn lowest_free(&self) -> LockId {
        let taken = self.open.keys().map(|id| id.0);
        let free = (1..).zip(taken).find(|(number, id)| number != id);
        LockId(free.map_or(self.open.len() as u64 + 1, |(number, _)| number))
    }
}

fn find<'a>(
    tags: &BTreeMap<String, LockId>,
    open: &'a mut BTreeMap<LockId, Open>,
    tag: &str,
) -> Option<(LockId, &'a mut Open)> {
    let lock = *tags.get(tag)?;
    Some((lock, open.get_mut(&lock)?))
}

impl Open {
    /// Overwrites the buffer with `text`; what is in it is the value of the operation.
    fn fill(&mut self, text: &str) -> Option<ValueBlock> {
        let buffer = self.buffer.as_mut()?;
        let len = text.len().min(dlm_core::value::VALUE_BYTES_DEFAULT);
        *buffer = text.as_bytes()[..len].to_vec();
        ValueBlock::new(buffer).ok()
    }

    /// The event of a completion, where there is one.
    fn complete(
        &mut self,
        status: Status,
        mode: Option<Mode>,
        flags: StatusFlags,
        value: Option<ValueBlock>,
    ) -> Option<Event> {
        let status = match status {
            Status::Granted => "0",
            Status::TryFailed => "-EAGAIN",
            Status::Deadlock => "-EDEADLK",
            Status::Cancelled => "-DLM_ECANCEL",
            Status::Unlocked => "-DLM_EUNLOCK",
            Status::NothingToCancel | Status::CancelDone | Status::Adopted | Status::Refused(_) => {
                return None;
            }
        };
        if let (Some(value), Some(buffer)) = (value, &mut self.buffer) {
            *buffer = value.as_bytes().to_vec();
        }
        let before = std::mem::replace(&mut self.mode, mode);
        let copies =
            mode.filter(|&mode| status == "0" && Transfer::of(before, mode) != Transfer::Write);
        Some(Event {
            client: self.client?,
            tag: self.completion_tag.clone(),
            what: What::Completion {
                status: status.to_owned(),
                flags: flags
                    .iter_names()
                    .map(|(name, _)| name.to_owned())
                    .collect(),
                value: copies.and(self.buffer.as_deref()).map(text_of),
            },
        })
    }
}

impl<L: Locks> Kernel for Desk<L> {
    fn step(&mut self, operation: &Operation) -> (Ret, Vec<Event>) {
        match operation {
            Operation::Lock {
                client,
                tag,
                resource,
                mode,
                options,
            } => self.lock((*client, tag), resource, *mode, options),
            Operation::Convert {
                tag, mode, options, ..
            } => self.convert(tag, *mode, options),
            Operation::Unlock { tag, options, .. } => self.unlock(tag, options),
            Operation::Close { client } => self.close(*client),
            Operation::Wait { ms } => {
                self.locks.wait(*ms);
                ("0", Vec::new())
            }
            Operation::RawLockId { tag, number } => {
                self.tags.insert(tag.clone(), LockId(*number));
                ("0", Vec::new())
            }
            Operation::NoBlockingCallbacks => {
                self.no_blocking_callbacks = true;
                ("0", Vec::new())
            }
        }
    }
}

/// The bytes of a name that is said to be `length` long.
fn name_bytes(name: &str, length: Option<usize>) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    if let Some(length) = length {
        bytes.resize(length, b'_');
    }
    bytes
}

/// The buffer without its trailing zeros.
fn text_of(buffer: &[u8]) -> String {
    let len = buffer
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

/// The answer to `op` itself.
fn first_answer(outputs: &[Output], op: OpId) -> Option<(LockId, Status)> {
    outputs.iter().find_map(|output| match output {
        Output::Done {
            op: answered,
            lock,
            status,
            ..
        } if *answered == op => Some((*lock, *status)),
        _ => None,
    })
}

/// What the kernel's call returns for a refusal.
const fn errno(refusal: Refusal) -> Ret {
    match refusal {
        Refusal::Busy => "-EBUSY",
        Refusal::NoSuchLock | Refusal::NoSuchOrphan => ENOENT,
        Refusal::OrphanMode => EAGAIN,
        Refusal::NameLength
        | Refusal::ValueLength
        | Refusal::Flags
        | Refusal::AlreadyCancelled
        | Refusal::LockIdInUse
        | Refusal::NoSuchLockspace
        | Refusal::NoSuchSession => EINVAL,
        Refusal::LocksPerSession | Refusal::QueueLength | Refusal::Resources => "-ENOMEM",
    }
}
