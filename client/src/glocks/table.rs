//! The table of glock machines: one short lock around each step, and what the step wants done.
//!
//! Messages are queued for the driver under that lock, so that they go out in the order of the steps.
//! Waking tasks and starting hooks comes after it.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use dlm_core::link::OperationKind;
use dlm_core::{LockId, Owner, RequestFlags, Token};
use glock_core::{
    Glock, GlockName, HolderFlags, HolderId, Input, Message, Output, State, invariants,
};
use glockwork_proto::trace::TraceContext;
use tokio::sync::oneshot;

use super::counters::GlockCounters;
use super::error::{GlockError, from_failure};
use super::holder::Tag;
use super::{Inner, SHARDS};
use crate::session::{Answer, Command, Route, Wish};
use crate::traces;

/// What a holder is told.
pub(super) type Granting = Result<Token, GlockError>;

/// A part of the table with a lock of its own.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) glocks: HashMap<GlockName, Entry>,
    pub(super) counters: GlockCounters,
    /// Outputs of a step, kept for its memory.
    outputs: Vec<Output>,
}

/// A glock and what belongs to it outside of the machine.
pub(super) struct Entry {
    pub(super) glock: Glock,
    /// Its lock's number, new for each time that the lock is made; 0 before the first.
    lock: LockId,
    pub(super) slots: Vec<Slot>,
}

/// A holder in the queue.
pub(super) struct Slot {
    pub(super) id: HolderId,
    pub(super) tag: Arc<Tag>,
    /// The span in which it was asked for, if that is recorded.
    trace: Option<TraceContext>,
    /// Whoever waits for it; `None` while its own task is still on the way in, or when it is granted.
    waiting: Option<oneshot::Sender<Granting>>,
}

/// What a step leaves to be done when its lock is open again.
#[derive(Default)]
pub(super) struct After {
    answers: Vec<(oneshot::Sender<Granting>, Granting)>,
    hooks: Vec<(GlockName, Hook)>,
    /// What happened to the holder that this very step brings.
    own: Option<Granting>,
    freed: Vec<GlockName>,
    emptied: bool,
}

/// A hook of the owner's to call.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    Sync,
    Invalidate(State),
    Instantiate,
}

/// How an enqueue went.
pub(super) enum Enqueued {
    Answered(Granting),
    Waits(oneshot::Receiver<Granting>),
}

impl Inner {
    pub(super) fn shard(&self, name: GlockName) -> MutexGuard<'_, Shard> {
        // Numbers of one filesystem are dense or strided; the multiplication spreads them.
        let spread = (name.number ^ ((name.kind as u64) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (spread >> 32) as usize % SHARDS;
        // A panic under this lock is a bug in the machine; what is there is as good as it gets.
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One thing that happened to one glock. Nothing, where the glock is not cached.
    pub(super) fn step(self: &Arc<Self>, name: GlockName, input: Input) {
        self.step_with(name, input, None);
    }

    pub(super) fn step_with(self: &Arc<Self>, name: GlockName, input: Input, io: Option<&str>) {
        let mut after = After::default();
        self.step_locked(&mut self.shard(name), name, (input, io), &mut after);
        self.finish(after);
    }

    /// A new holder. It is granted or refused at once, or waits.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        request: super::HolderRequest,
        id: HolderId,
        tag: Arc<Tag>,
    ) -> Enqueued {
        let super::HolderRequest {
            name,
            state,
            flags,
            owner,
            ..
        } = request;
        let mut after = After::default();
        let mut shard = self.shard(name);
        if let Err(error) = self.admit(&shard, name) {
            return Enqueued::Answered(Err(error));
        }
        shard.counters.requests += 1;
        let entry = shard.glocks.entry(name).or_insert_with(|| Entry {
            glock: Glock::new(name, self.config.hold_of(name)),
            lock: LockId(0),
            slots: Vec::new(),
        });
        entry.slots.push(Slot {
            id,
            tag,
            trace: traces::current(),
            waiting: None,
        });
        let sent = shard.counters.messages;
        let input = Input::Enqueue {
            holder: id,
            state,
            flags,
            owner,
        };
        self.step_locked(&mut shard, name, (input, None), &mut after);
        let interruptible = !flags.contains(HolderFlags::FAULT);
        if after.own.is_none() && interruptible && self.interrupted() {
            let input = Input::CancelWait { holder: id };
            self.step_locked(&mut shard, name, (input, None), &mut after);
        }
        let enqueued = match after.own.take() {
            Some(answer) => {
                let cached = answer.is_ok() && shard.counters.messages == sent;
                shard.counters.cached += u64::from(cached);
                Enqueued::Answered(answer)
            }
            None => {
                shard.counters.waits += 1;
                Enqueued::Waits(shard.wait_for(name, id))
            }
        };
        drop(shard);
        self.finish(after);
        enqueued
    }

    fn admit(&self, shard: &Shard, name: GlockName) -> Result<(), GlockError> {
        if self.closed() {
            return Err(GlockError::Closed);
        }
        self.session.room()?;
        // Each part has its share of the limit; names spread evenly, and the limit is not exact.
        let max = self.config.glocks_max;
        if !shard.glocks.contains_key(&name) && shard.glocks.len() >= max.div_ceil(SHARDS) {
            return Err(GlockError::Limit {
                what: "glocks cached",
                max,
            });
        }
        Ok(())
    }

    /// A step with the lock of its shard held.
    pub(super) fn step_locked(
        self: &Arc<Self>,
        shard: &mut Shard,
        name: GlockName,
        (input, io): (Input, Option<&str>),
        after: &mut After,
    ) {
        let Shard {
            glocks,
            counters,
            outputs,
        } = shard;
        let Some(entry) = glocks.get_mut(&name) else {
            return;
        };
        let now = self.now();
        if let Input::Dequeue { holder, .. } = input {
            entry.take_slot(holder);
        }
        entry.glock.step(now, input, outputs);
        let mut at = 0;
        while let Some(&output) = outputs.get(at) {
            at += 1;
            match output {
                Output::Granted { holder, token } => {
                    counters.granted += 1;
                    after.answer(entry.waiting(holder), Ok(token));
                }
                Output::Failed { holder, why } => {
                    counters.failed(why);
                    let slot = entry.take_slot(holder);
                    let owner = input_owner(input);
                    let lost = || self.session.shared.lost_error();
                    let error = from_failure(why, (name, owner), lost, io);
                    after.answer(slot.and_then(|slot| slot.waiting), Err(error));
                }
                Output::Sync => after.hooks.push((name, Hook::Sync)),
                Output::Invalidate { to } => after.hooks.push((name, Hook::Invalidate(to))),
                Output::Instantiate if self.config.instantiate => {
                    after.hooks.push((name, Hook::Instantiate));
                }
                Output::Instantiate => {
                    entry
                        .glock
                        .step(now, Input::Instantiated { ok: true }, outputs);
                }
                Output::Dlm(message) => {
                    counters.sent(entry.glock.phase());
                    self.send(entry, message);
                }
                Output::ArmTimer { at } => self.arm(at, name),
            }
        }
        outputs.clear();
        self.check(entry);
        if entry.glock.is_free() {
            glocks.remove(&name);
            after.freed.push(name);
            after.emptied |= glocks.is_empty();
        }
    }

    /// A broken machine, or one that got an answer that cannot be, is not to be relied on, and a glock
    /// cannot be lost alone: the server would keep what this node forgets.
    fn check(&self, entry: &Entry) {
        if cfg!(debug_assertions)
            && let Err(violation) = invariants::check(&entry.glock)
        {
            panic!("{violation}: {:?}", entry.glock);
        }
        if entry.glock.is_lost() && self.session.shared.lost().is_none() {
            let why = format!(
                "the server's answer for glock {} cannot be",
                entry.glock.name()
            );
            self.session.send(Command::Abort { why });
        }
    }

    fn send(self: &Arc<Self>, entry: &mut Entry, message: Message) {
        let name = entry.glock.name();
        let kind = match message {
            Message::Request { mode, flags, owner } => {
                entry.lock = self.session.new_lock();
                OperationKind::Request {
                    lockspace: self.lockspace,
                    lock: entry.lock,
                    name: self.objects.resource(name),
                    mode,
                    flags,
                    owner,
                }
            }
            Message::Convert { mode, flags, owner } => OperationKind::Convert {
                lock: entry.lock,
                mode,
                flags,
                owner,
                value: None,
            },
            Message::Unlock => OperationKind::Unlock {
                lock: entry.lock,
                flags: RequestFlags::empty(),
                value: None,
            },
            Message::Cancel => return self.session.send(Command::cancel(entry.lock)),
        };
        let answer = Answer::Lock(Route::Glock(Arc::downgrade(self), name));
        let wish = Wish::Lock(kind);
        let trace = traces::current().or_else(|| entry.trace());
        self.session.send_for(Command::Ask { wish, answer }, trace);
    }

    /// What a step left to be done, with no lock held.
    pub(super) fn finish(self: &Arc<Self>, after: After) {
        for (waiting, answer) in after.answers {
            // Whoever waited may have given up; then its holder is dropped, and dequeued.
            let _ = waiting.send(answer);
        }
        for (name, hook) in after.hooks {
            self.call(name, hook);
        }
        for name in after.freed {
            self.objects.freed(name);
        }
        if after.emptied {
            self.emptied();
        }
    }
}

impl Shard {
    fn wait_for(&mut self, name: GlockName, id: HolderId) -> oneshot::Receiver<Granting> {
        let (sender, receiver) = oneshot::channel();
        let slots = self.glocks.get_mut(&name).map(|entry| &mut entry.slots);
        // Without a slot the sender is dropped, and the receiver says so.
        if let Some(slot) = slots.and_then(|slots| slots.iter_mut().find(|slot| slot.id == id)) {
            slot.waiting = Some(sender);
        }
        receiver
    }
}

impl Entry {
    /// Of the first that waits and records one. What is sent once others have let go is sent for it.
    fn trace(&self) -> Option<TraceContext> {
        let mut waiting = self.slots.iter().filter(|slot| slot.waiting.is_some());
        waiting.find_map(|slot| slot.trace)
    }

    fn take_slot(&mut self, id: HolderId) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.id == id)?;
        Some(self.slots.swap_remove(at))
    }

    fn waiting(&mut self, id: HolderId) -> Option<oneshot::Sender<Granting>> {
        self.slots
            .iter_mut()
            .find(|slot| slot.id == id)?
            .waiting
            .take()
    }
}

impl After {
    /// An answer for a task that waits, or for the one that this step is about.
    fn answer(&mut self, waiting: Option<oneshot::Sender<Granting>>, answer: Granting) {
        match waiting {
            Some(waiting) => self.answers.push((waiting, answer)),
            None => self.own = Some(answer),
        }
    }
}

/// The task of a holder that is refused entry; nobody else gets an error that names its task.
fn input_owner(input: Input) -> Owner {
    match input {
        Input::Enqueue { owner, .. } => owner,
        _ => Owner(0),
    }
}
