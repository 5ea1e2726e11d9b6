//! Several nodes with their glocks over one real lock table, with every message, hook and timer an
//! entry of a queue that the test empties in whatever order it likes.
//!
//! Under each glock lies one word of data on a shared disk, with a copy in each node's cache. Whoever
//! holds SH or EX must see the last value that anybody wrote, whoever holds DF must find it on the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dlm_core::{
    Input as TableInput, Limits, LockId, LockTable, LockspaceId, OpId, Output as TableOutput,
    Owner, RequestFlags, SessionId, Tick,
};
use glock_core::glock::HoldTime;
use glock_core::{
    Failure, Glock, GlockName, HolderFlags, HolderId, Input, Message, Output, Release, State,
    invariants,
};

pub(crate) const NODES: usize = 3;
pub(crate) const GLOCKS: usize = 2;
const SPACE: LockspaceId = LockspaceId(1);
const HOLD: HoldTime = HoldTime::fixed(1_000);

/// A hook that was called and has not returned.
#[derive(Clone, Copy)]
enum Hook {
    Sync,
    Invalidate(State),
    Instantiate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Waits,
    Holds,
    Failed(Failure),
    Gone,
}

#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) node: usize,
    pub(crate) glock: usize,
    pub(crate) state: State,
    pub(crate) flags: HolderFlags,
    pub(crate) fate: Fate,
}

struct Cached {
    value: u64,
    dirty: bool,
}

struct Node {
    glocks: Vec<Glock>,
    locks: [LockId; GLOCKS],
    hooks: VecDeque<(usize, Hook)>,
    timers: [Option<Tick>; GLOCKS],
    cache: [Option<Cached>; GLOCKS],
    to_table: VecDeque<TableInput>,
    from_table: VecDeque<TableOutput>,
    cancels: BTreeSet<OpId>,
}

pub(crate) struct World {
    table: LockTable,
    nodes: Vec<Node>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    disk: [u64; GLOCKS],
    written: [u64; GLOCKS],
    now: Tick,
    next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut table = LockTable::new(Limits::DEFAULT, 1);
        let mut nodes = Vec::new();
        for node in 0..NODES {
            let session = SessionId(node as u64);
            table.step(
                Tick(0),
                TableInput::SessionStarted { session },
                &mut Vec::new(),
            );
            let open = TableInput::OpenLockspace {
                session,
                lockspace: SPACE,
            };
            table.step(Tick(0), open, &mut Vec::new());
            let glock = |number| Glock::new(GlockName::inode(number as u64), HOLD);
            nodes.push(Node {
                glocks: (0..GLOCKS).map(glock).collect(),
                locks: [LockId(0); GLOCKS],
                hooks: VecDeque::new(),
                timers: [None; GLOCKS],
                cache: [const { None }; GLOCKS],
                to_table: VecDeque::new(),
                from_table: VecDeque::new(),
                cancels: BTreeSet::new(),
            });
        }
        let (disk, written) = ([0; GLOCKS], [0; GLOCKS]);
        Self {
            table,
            nodes,
            tasks: BTreeMap::new(),
            disk,
            written,
            now: Tick(10_000),
            next: 1,
        }
    }

    pub(crate) fn locks_at_table(&self) -> usize {
        self.table
            .view(None)
            .iter()
            .map(|resource| resource.locks.len())
            .sum()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    // What tasks do.

    pub(crate) fn enqueue(&mut self, node: usize, glock: usize, state: State, flags: HolderFlags) {
        let id = self.number();
        let task = Task {
            node,
            glock,
            state,
            flags,
            fate: Fate::Waits,
        };
        self.tasks.insert(id, task);
        let (holder, owner) = (HolderId(id), Owner(id));
        self.step(
            node,
            glock,
            Input::Enqueue {
                holder,
                state,
                flags,
                owner,
            },
        );
    }

    pub(crate) fn release(&mut self, id: u64, release: Release) {
        let task = self.tasks.get_mut(&id).unwrap();
        task.fate = Fate::Gone;
        let Task { node, glock, .. } = *task;
        self.step(
            node,
            glock,
            Input::Dequeue {
                holder: HolderId(id),
                release,
            },
        );
    }

    pub(crate) fn interrupt(&mut self, id: u64) {
        let Task { node, glock, .. } = self.tasks[&id];
        self.step(
            node,
            glock,
            Input::CancelWait {
                holder: HolderId(id),
            },
        );
        assert_eq!(self.tasks[&id].fate, Fate::Failed(Failure::Interrupted));
    }

    pub(crate) fn input(&mut self, node: usize, glock: usize, input: Input) {
        self.step(node, glock, input);
    }

    /// Tasks that wait, or hold.
    pub(crate) fn having(&self, fate: Fate) -> Vec<u64> {
        self.tasks
            .iter()
            .filter(|(_, task)| task.fate == fate)
            .map(|(&id, _)| id)
            .collect()
    }

    // What the world does. Each says whether there was something to do.

    pub(crate) fn deliver_to_table(&mut self, node: usize) -> bool {
        let Some(input) = self.nodes[node].to_table.pop_front() else {
            return false;
        };
        let mut out = Vec::new();
        self.table.step(self.now, input, &mut out);
        let queued = |output: &TableOutput| matches!(output, TableOutput::Queued { .. });
        for output in out.into_iter().filter(|output| !queued(output)) {
            let (TableOutput::Done { session, .. } | TableOutput::Blocking { session, .. }) =
                output
            else {
                unreachable!("glocks leave no orphans");
            };
            self.nodes[session.0 as usize].from_table.push_back(output);
        }
        true
    }

    pub(crate) fn deliver_to_node(&mut self, node: usize) -> bool {
        let Some(output) = self.nodes[node].from_table.pop_front() else {
            return false;
        };
        let glock_of = |node: &Node, lock| node.locks.iter().position(|&other| other == lock);
        match output {
            TableOutput::Done {
                op,
                lock,
                status,
                mode,
                token,
                ..
            } => {
                if self.nodes[node].cancels.remove(&op) {
                    return true;
                }
                let glock = glock_of(&self.nodes[node], lock).unwrap();
                self.step(
                    node,
                    glock,
                    Input::Reply {
                        status,
                        mode,
                        token,
                    },
                );
            }
            TableOutput::Blocking { lock, mode, .. } => {
                if let Some(glock) = glock_of(&self.nodes[node], lock) {
                    self.step(node, glock, Input::Callback { wanted: mode });
                }
            }
            other => unreachable!("glocks leave no orphans: {other:?}"),
        }
        true
    }

    pub(crate) fn return_hook(&mut self, node: usize) -> bool {
        let Some((glock, hook)) = self.nodes[node].hooks.pop_front() else {
            return false;
        };
        let cache = &mut self.nodes[node].cache[glock];
        let input = match hook {
            Hook::Sync => {
                if let Some(cached) = cache.as_mut().filter(|cached| cached.dirty) {
                    self.disk[glock] = cached.value;
                    cached.dirty = false;
                }
                Input::HookDone
            }
            Hook::Invalidate(to) => {
                assert!(matches!(to, State::Un | State::Df));
                assert!(
                    !cache.as_ref().is_some_and(|cached| cached.dirty),
                    "dirty data dropped"
                );
                *cache = None;
                Input::HookDone
            }
            Hook::Instantiate => Input::Instantiated { ok: true },
        };
        self.step(node, glock, input);
        true
    }

    pub(crate) fn advance(&mut self, micros: u64) {
        self.now = self.now.plus(micros);
        for node in 0..NODES {
            for glock in 0..GLOCKS {
                let timer = &mut self.nodes[node].timers[glock];
                if timer.is_some_and(|at| at <= self.now) {
                    *timer = None;
                    self.step(node, glock, Input::Timer);
                }
            }
        }
    }

    /// Lets everything happen that happens by itself.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut busy = false;
            for node in 0..NODES {
                busy |= self.deliver_to_table(node);
                busy |= self.deliver_to_node(node);
                busy |= self.return_hook(node);
            }
            if busy {
                continue;
            }
            let timers = self.nodes.iter().flat_map(|node| node.timers).flatten();
            let Some(first) = timers.min() else { return };
            self.advance(first.since(self.now));
        }
        panic!("the nodes go round in circles");
    }

    fn step(&mut self, node: usize, glock: usize, input: Input) {
        let mut out = Vec::new();
        self.nodes[node].glocks[glock].step(self.now, input, &mut out);
        invariants::check(&self.nodes[node].glocks[glock]).unwrap();
        for output in out {
            self.act(node, glock, output);
        }
        self.check_exclusion(glock);
    }

    fn act(&mut self, node: usize, glock: usize, output: Output) {
        let here = &mut self.nodes[node];
        match output {
            Output::Granted { holder, .. } => {
                let task = self.tasks.get_mut(&holder.0).unwrap();
                assert_eq!(task.fate, Fate::Waits, "granted twice, or after it failed");
                task.fate = Fate::Holds;
                self.use_it(node, glock, holder.0);
            }
            Output::Failed { holder, why } => {
                let task = self.tasks.get_mut(&holder.0).unwrap();
                assert_eq!(task.fate, Fate::Waits, "failed after it was answered");
                task.fate = Fate::Failed(why);
            }
            Output::Sync => here.hooks.push_back((glock, Hook::Sync)),
            Output::Invalidate { to } => here.hooks.push_back((glock, Hook::Invalidate(to))),
            Output::Instantiate => here.hooks.push_back((glock, Hook::Instantiate)),
            Output::ArmTimer { at } => here.timers[glock] = Some(at),
            Output::Dlm(message) => self.send(node, glock, message),
        }
    }

    fn send(&mut self, node: usize, glock: usize, message: Message) {
        let op = OpId(self.number());
        if matches!(message, Message::Request { .. }) {
            self.nodes[node].locks[glock] = LockId(op.0);
        }
        let session = SessionId(node as u64);
        let here = &mut self.nodes[node];
        let lock = here.locks[glock];
        here.to_table.push_back(match message {
            Message::Request { mode, flags, owner } => {
                let name = here.glocks[glock].name().resource();
                let lockspace = SPACE;
                TableInput::Request {
                    session,
                    op,
                    lockspace,
                    lock,
                    name,
                    mode,
                    flags,
                    owner,
                }
            }
            Message::Convert { mode, flags, owner } => TableInput::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
                value: None,
            },
            Message::Unlock => TableInput::Unlock {
                session,
                op,
                lock,
                flags: RequestFlags::empty(),
                value: None,
            },
            Message::Cancel => {
                here.cancels.insert(op);
                TableInput::Cancel { session, op, lock }
            }
        });
    }

    /// What a task does at the moment of its grant: read through the cache, write into it, or write to
    /// the disk.
    fn use_it(&mut self, node: usize, glock: usize, id: u64) {
        let Task { state, .. } = self.tasks[&id];
        let (disk, written) = (&mut self.disk[glock], &mut self.written[glock]);
        let cache = &mut self.nodes[node].cache[glock];
        if state == State::Df {
            // Under a cached EX the node's own cache goes first, as any direct I/O does it.
            if let Some(cached) = cache.take().filter(|cached| cached.dirty) {
                *disk = cached.value;
            }
            assert_eq!(*disk, *written, "direct I/O finds an old value");
            *written += 1;
            *disk = *written;
            return;
        }
        let cached = cache.get_or_insert(Cached {
            value: *disk,
            dirty: false,
        });
        assert_eq!(cached.value, *written, "{state} sees an old value");
        if state == State::Ex {
            *written += 1;
            *cached = Cached {
                value: *written,
                dirty: true,
            };
        }
    }

    /// No two holders on different nodes, of one glock, that exclude each other.
    fn check_exclusion(&self, glock: usize) {
        let holds: Vec<&Task> = self
            .tasks
            .values()
            .filter(|task| task.glock == glock && task.fate == Fate::Holds)
            .collect();
        for (at, a) in holds.iter().enumerate() {
            for b in &holds[..at] {
                let share = a.state.mode().compatible(b.state.mode());
                assert!(
                    share,
                    "{} on node {}, {} on node {}",
                    a.state, a.node, b.state, b.node
                );
            }
        }
    }

    /// The cached state of a glock on a node.
    pub(crate) fn state(&self, node: usize, glock: usize) -> State {
        self.nodes[node].glocks[glock].state()
    }

    pub(crate) fn all_free(&self) -> bool {
        self.nodes
            .iter()
            .flat_map(|node| &node.glocks)
            .all(Glock::is_free)
    }
}
