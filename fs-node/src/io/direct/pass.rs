//! One pass of a direct I/O: one record, from taking the target to releasing everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dlm_client::glocks::{GlockError, Holder, HolderRequest, Release};
use dlm_client::{GlockName, HolderFlags, Role};
use fs_core::fault::{Access, Action, Direction, Event, Held, Record, Stats, Trial, Why};
use fs_core::order::Key;

use super::super::IoError;
use super::super::bounce::Bounce;
use super::super::pieces::Piece;
use crate::cache::{CachedInode, page_of};
use crate::node::Task;
use crate::store::RawBuf;

/// Bytes pinned and submitted at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Pages pinned at once.
const CHUNK_PINS: usize = 256;

/// How a pass ended, other than by an error.
pub(super) enum Exit {
    /// At its end, or where the kernel stopped: a piece of plain memory that is not there.
    Done,
    /// The policy leaves the direct path.
    Left(Why),
    /// The buffer's next page cannot be had.
    Stopped,
}

/// What the walk does next.
enum Flow {
    Go,
    Pin,
    Rewalk,
    Exit(Exit),
}

struct Pinned {
    inode: Arc<CachedInode>,
    key: Key,
    index: usize,
}

pub(super) struct Pass<'a> {
    task: &'a Task,
    direction: Direction,
    inode: &'a CachedInode,
    /// Where in the inode the I/O's first byte belongs.
    offset: usize,
    pieces: &'a [Piece],
    end: usize,
    record: Record,
    held: BTreeMap<Key, Holder>,
    pinned: Vec<Pinned>,
    /// What is to be submitted, and how many bytes of the I/O that is.
    iov: Vec<RawBuf>,
    pending: usize,
    /// Bytes of the I/O that were transferred.
    done: usize,
    /// The kernel transferred less than was submitted.
    short: bool,
    bounce: Option<Bounce>,
    actions: Vec<Action>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        task: &'a Task,
        direction: Direction,
        inode: &'a CachedInode,
        offset: usize,
        pieces: &'a [Piece],
        end: usize,
    ) -> Self {
        let target = Key::new(task.node().volume(), inode.number());
        Self {
            task,
            direction,
            inode,
            offset,
            pieces,
            end,
            record: Record::new(task.node().policy(), direction, target),
            held: BTreeMap::new(),
            pinned: Vec::new(),
            iov: Vec::new(),
            pending: 0,
            done: 0,
            short: false,
            bounce: None,
            actions: Vec::new(),
        }
    }

    pub(super) const fn stats(&self) -> Stats {
        self.record.stats()
    }

    pub(super) const fn done(&self) -> usize {
        self.done
    }

    /// Moves the bytes from `from` on. Everything is released when it returns.
    pub(super) fn run(&mut self, from: usize) -> Result<Exit, IoError> {
        self.done = from;
        let bounced: Vec<(usize, &Piece)> = self.bounced_from(from);
        let mut bytes: usize = bounced.iter().map(|(_, piece)| piece.len).sum();
        if bytes > 0 {
            let bounce = Bounce::new(bytes)?;
            if self.direction == Direction::Write {
                for &(to, piece) in &bounced {
                    if bounce.copy_in(self.task, piece, to)? < piece.len {
                        // What comes before it can still be written.
                        self.end = piece.at;
                        bytes = to;
                        break;
                    }
                }
            }
            self.bounce = Some(bounce);
        }
        let exit = if self.end > from {
            self.locked()
        } else {
            Ok(Exit::Stopped)
        };
        // An error leaves the record where it was; this releases whatever it holds.
        let released = self.drive(Event::End);
        debug_assert!(released.is_ok() && self.held.is_empty() && self.pinned.is_empty());
        if self.direction == Direction::Read && bytes > 0 {
            self.copy_out(from, &bounced)?;
        }
        exit
    }

    /// The bounced pieces at or after `from`, each with its place in the bounce memory.
    fn bounced_from(&self, from: usize) -> Vec<(usize, &'a Piece)> {
        let mut to = 0;
        let in_pass = |piece: &&Piece| piece.bounced && piece.at >= from && piece.at < self.end;
        self.pieces
            .iter()
            .filter(in_pass)
            .map(|piece| {
                to += piece.len;
                (to - piece.len, piece)
            })
            .collect()
    }

    fn copy_out(&mut self, from: usize, bounced: &[(usize, &Piece)]) -> Result<(), IoError> {
        let Some(bounce) = &self.bounce else {
            return Ok(());
        };
        for &(at, piece) in bounced.iter().filter(|(_, piece)| piece.at < self.done) {
            let copied = bounce.copy_out(self.task, piece, at);
            if !copied.as_ref().is_ok_and(|&bytes| bytes == piece.len) {
                // As if the transfer had ended before this piece.
                self.done = piece.at.max(from);
                self.short = true;
                return copied.map(drop);
            }
        }
        Ok(())
    }

    /// The part with locks.
    fn locked(&mut self) -> Result<Exit, IoError> {
        let start = self.done;
        if let Flow::Exit(exit) = self.drive(Event::Begin)? {
            return Ok(exit);
        }
        let mut bounce_at = 0;
        let mut index = self.index_of(self.done);
        while let Some(piece) = self.pieces.get(index).filter(|piece| piece.at < self.end) {
            if self.pending >= CHUNK_BYTES || self.pinned.len() >= CHUNK_PINS {
                self.chunk()?;
                if self.short {
                    return Ok(Exit::Done);
                }
            }
            let piece = self.clip(piece);
            if piece.bounced {
                let base = self
                    .bounce
                    .as_ref()
                    .expect("there are bounced pieces")
                    .memory
                    .address(0);
                self.push(base + bounce_at, piece.len);
                bounce_at += piece.len;
            } else if piece.shared().is_some() {
                match self.page(&piece)? {
                    Flow::Go | Flow::Pin => {}
                    Flow::Exit(exit) => return Ok(exit),
                    Flow::Rewalk => {
                        index = self.index_of(self.done);
                        bounce_at = self.bounced_before(start);
                        continue;
                    }
                }
                if self.short {
                    return Ok(Exit::Done);
                }
            } else {
                self.push(piece.addr, piece.len);
            }
            index += 1;
        }
        self.chunk()?;
        Ok(Exit::Done)
    }

    /// The piece that byte `at` of the I/O lies in.
    fn index_of(&self, at: usize) -> usize {
        self.pieces.partition_point(|piece| piece.end() <= at)
    }

    /// Bytes of bounced pieces between the start of the pass and what is done.
    fn bounced_before(&self, start: usize) -> usize {
        let between = |piece: &&Piece| piece.bounced && piece.at >= start && piece.at < self.done;
        self.pieces
            .iter()
            .filter(between)
            .map(|piece| piece.len)
            .sum()
    }

    /// The part of `piece` that is to be done: some of it may be transferred already, or lie beyond the
    /// end of the pass. Bounced pieces are never cut.
    fn clip(&self, piece: &Piece) -> Piece {
        if piece.bounced {
            return piece.clone();
        }
        let from = (self.done + self.pending).clamp(piece.at, piece.end());
        let to = piece.end().min(self.end);
        Piece {
            addr: piece.addr + (from - piece.at),
            len: to - from,
            at: from,
            ..piece.clone()
        }
    }

    /// One page of a shared mapping: asks the record, and pins.
    fn page(&mut self, piece: &Piece) -> Result<Flow, IoError> {
        let vma = piece.shared().expect("a piece of a shared mapping").clone();
        let index = page_of(vma.offset_at(piece.addr));
        let mapping = Key::new(self.task.node().volume(), vma.inode());
        let access = self.direction.access();
        let resident = self.is_resident(mapping, index);
        let flow = self.drive(Event::Page {
            mapping,
            access,
            resident,
        })?;
        if matches!(flow, Flow::Pin) && !self.short {
            let inode = self.task.node().inode(vma.inode())?;
            inode.pin(index, access)?;
            let addr = inode.memory().address(vma.offset_at(piece.addr));
            let holder = &self.held[&mapping];
            holder.pins().fetch_add(1, Ordering::Relaxed);
            if mapping != self.target() {
                holder.set_role(Role::Pin);
            }
            self.pinned.push(Pinned {
                inode,
                key: mapping,
                index,
            });
            self.push(addr, piece.len);
        }
        Ok(flow)
    }

    /// Whether the page is there. A page of the target counts only where the node has the target's
    /// glock in EX, which covers every access, and outside the range of this very I/O.
    fn is_resident(&self, mapping: Key, index: usize) -> bool {
        if mapping == self.target() {
            let exclusive = self
                .held
                .get(&mapping)
                .is_some_and(|h| h.cached_state() == dlm_client::State::Ex);
            if !exclusive || super::pages(self.offset, self.offset + self.end).contains(&index) {
                return false;
            }
        }
        self.task.node().cache.is_resident(mapping.inode, index)
    }

    fn target(&self) -> Key {
        Key::new(self.task.node().volume(), self.inode.number())
    }

    fn push(&mut self, addr: usize, len: usize) {
        self.pending += len;
        match self.iov.last_mut() {
            Some(last) if last.addr + last.len == addr => last.len += len,
            _ => self.iov.push(RawBuf { addr, len }),
        }
    }

    fn chunk(&mut self) -> Result<(), IoError> {
        self.submit()?;
        match self.drive(Event::ChunkDone)? {
            Flow::Go => Ok(()),
            _ => unreachable!("nothing follows a chunk but the next"),
        }
    }

    /// Tells the record what happened and does what it says, until it has no more to ask.
    fn drive(&mut self, event: Event) -> Result<Flow, IoError> {
        let mut next = Some(event);
        let mut flow = Flow::Go;
        while let Some(event) = next.take() {
            let mut actions = std::mem::take(&mut self.actions);
            self.record.step(event, &mut actions);
            for action in actions.drain(..) {
                match action {
                    Action::Lock(held) => {
                        self.lock(held, HolderFlags::empty())?;
                        next = Some(Event::Granted);
                    }
                    Action::Try(held, trial) => next = Some(self.attempt(held, trial)?),
                    Action::Unlock { key, cycle } => self.unlock(key, cycle),
                    Action::UnpinAll => self.discard(),
                    Action::Revalidate => {
                        let from = self.offset + self.done;
                        self.inode
                            .clear(super::pages(from, self.offset + self.end))?;
                    }
                    Action::Submit => {
                        next = Some(Event::Submitted {
                            bytes: self.submit()?,
                        })
                    }
                    Action::Prefault { bytes } => {
                        self.discard();
                        next = Some(Event::Prefaulted {
                            bytes: self.prefault(bytes)?,
                        });
                    }
                    Action::Pin => flow = Flow::Pin,
                    Action::Rewalk => {
                        self.discard();
                        flow = Flow::Rewalk;
                    }
                    Action::Leave(why) => flow = Flow::Exit(Exit::Left(why)),
                    Action::Stop => flow = Flow::Exit(Exit::Stopped),
                }
            }
            self.actions = actions;
        }
        Ok(flow)
    }

    fn lock(&mut self, held: Held, flags: HolderFlags) -> Result<(), GlockError> {
        let role = if held.key == self.target() {
            Role::Operation
        } else {
            Role::Fault
        };
        let holder = self.task.node().glocks.lock(HolderRequest {
            name: GlockName::inode(held.key.inode),
            state: held.state,
            flags,
            owner: self.task.owner(),
            role,
        })?;
        self.held.insert(held.key, holder);
        Ok(())
    }

    fn attempt(&mut self, held: Held, trial: Trial) -> Result<Event, IoError> {
        let flags = match trial {
            Trial::OneCallback => HolderFlags::TRY_1CB,
            Trial::Local => HolderFlags::NOBLOCK,
        };
        match self.lock(held, flags) {
            Ok(()) => Ok(Event::Granted),
            Err(GlockError::TryFailed) => Ok(Event::Refused),
            Err(error) => Err(error.into()),
        }
    }

    fn unlock(&mut self, key: Key, cycle: bool) {
        let holder = self
            .held
            .remove(&key)
            .expect("the record releases what it took");
        debug_assert!(
            !self.pinned.iter().any(|pinned| pinned.key == key),
            "a pin without a lock"
        );
        holder.release(if cycle {
            Release::Yield
        } else {
            Release::Normal
        });
    }

    /// Submits what is pending and unpins it; returns the bytes transferred.
    fn submit(&mut self) -> Result<usize, IoError> {
        if self.pending == 0 {
            return Ok(0);
        }
        let (inode, at) = (self.inode.number(), (self.offset + self.done) as u64);
        let volume = &self.task.node().cache.volume;
        let result = match self.direction {
            Direction::Read => volume.read(inode, at, &self.iov),
            Direction::Write => volume.write(inode, at, &self.iov),
        };
        let wanted = self.pending;
        self.discard();
        let bytes = match result {
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => 0,
            other => other?,
        };
        self.done += bytes;
        self.short = bytes < wanted;
        Ok(bytes)
    }

    /// Unpins everything and forgets what was pending.
    fn discard(&mut self) {
        let access = self.direction.access();
        for pinned in self.pinned.drain(..) {
            pinned.inode.unpin(pinned.index, access);
            if let Some(holder) = self.held.get(&pinned.key) {
                let left = holder.pins().fetch_sub(1, Ordering::Relaxed) - 1;
                if left == 0 && pinned.key.inode != self.inode.number() {
                    holder.set_role(Role::Fault);
                }
            }
        }
        self.iov.clear();
        self.pending = 0;
    }

    /// No lock is held: faults in up to `bytes` of the buffer; returns how far it came.
    fn prefault(&mut self, bytes: usize) -> Result<usize, IoError> {
        let access = self.direction.access();
        let until = self.end.min(self.done + bytes);
        let mut reached = self.done;
        for piece in &self.pieces[self.index_of(self.done)..] {
            if piece.at >= until {
                break;
            }
            if let Some(vma) = piece.shared().filter(|_| !piece.bounced) {
                let index = page_of(vma.offset_at(piece.addr));
                if let Err(error) = self.prefault_page(vma.inode(), index, access) {
                    if reached == self.done {
                        return Err(error);
                    }
                    break;
                }
            }
            reached = piece.end().min(until);
        }
        Ok(reached - self.done)
    }

    fn prefault_page(&self, number: u64, index: usize, access: Access) -> Result<(), IoError> {
        let node = self.task.node();
        let inode = node.inode(number)?;
        let _holder = node.glocks.lock(HolderRequest {
            name: GlockName::inode(number),
            state: access.state(),
            flags: HolderFlags::FAULT,
            owner: self.task.owner(),
            role: Role::Fault,
        })?;
        Ok(inode.fault_in(index, access)?)
    }
}

/// Writes back and drops what the cache has of the inode's bytes `from..to`, under EX.
pub(super) fn clear_under_lock(
    task: &Task,
    inode: &CachedInode,
    from: usize,
    to: usize,
) -> Result<(), IoError> {
    let _holder = task.node().glocks.lock(HolderRequest {
        name: GlockName::inode(inode.number()),
        state: dlm_client::State::Ex,
        flags: HolderFlags::empty(),
        owner: task.owner(),
        role: Role::Operation,
    })?;
    Ok(inode.clear(super::pages(from, to))?)
}
