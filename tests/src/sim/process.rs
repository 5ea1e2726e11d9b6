//! What a process of the simulated cluster is.

use std::fmt::Debug;

use dlm_core::Tick;

use crate::checkers::Fact;

/// A process, whatever it is: a place on the network with a clock and a disk. What runs there may die and
/// start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// A stream: who opened it, in which of its lives, and under which of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// Who opened it.
    pub opener: ProcessId,
    /// In which life.
    pub life: u32,
    /// The number that it chose, once in a life.
    pub number: u64,
}

/// What a process is told.
#[derive(Clone, Debug)]
pub enum Input<M, O> {
    /// The time that it wanted to be woken at has come.
    Wake,
    /// A message outside of any stream came, perhaps late or twice.
    Datagram {
        /// Who sent it.
        from: ProcessId,
        /// What.
        message: M,
    },
    /// Another process opened a stream.
    Opened {
        /// Which.
        stream: StreamKey,
        /// Its first message.
        message: M,
    },
    /// A message came over a stream, in order.
    Message {
        /// Which.
        stream: StreamKey,
        /// What.
        message: M,
    },
    /// A stream is over, whoever ended it. A process that ended it itself is not told.
    Closed {
        /// Which.
        stream: StreamKey,
    },
    /// All writes up to this one are done.
    Written {
        /// The last one's number.
        number: u64,
    },
    /// The scenario wants something.
    Order(O),
}

/// What a process wants done, in the order in which it stands.
#[derive(Clone, Debug)]
pub enum Output<M, W> {
    /// To be woken when its own clock shows this. A later one replaces it.
    WakeAt(Tick),
    /// A message outside of any stream.
    Datagram {
        /// To whom.
        to: ProcessId,
        /// What.
        message: M,
    },
    /// Open a stream. Where it cannot be, it is closed.
    Open {
        /// To whom.
        to: ProcessId,
        /// The process's number for it, once in a life.
        number: u64,
        /// Its first message.
        message: M,
    },
    /// A message over a stream. Lost where the stream is over.
    Message {
        /// Which.
        stream: StreamKey,
        /// What.
        message: M,
    },
    /// Give a stream up. What was sent over it still arrives, unless it breaks.
    Close {
        /// Which.
        stream: StreamKey,
    },
    /// Give this to the disk, and say when it is there. Writes are done in order.
    Write {
        /// Which; it grows.
        number: u64,
        /// What.
        write: W,
    },
    /// Something that is true now and that a checker wants to know.
    Fact(Fact),
    /// The process ends itself.
    Exit,
}

/// A disk, and the process that has it open.
pub trait Device {
    /// What is written.
    type Write: Clone + Debug;

    /// Writes. False where it failed: the process that wrote it dies of that.
    fn write(&mut self, write: &Self::Write) -> bool;

    /// How many writes a crash could take away.
    fn unsynced(&self) -> u64;

    /// The process dies, and of the writes that a crash can take away the first `kept` are there.
    fn crash(&mut self, kept: u64);

    /// Makes the next write fail, or not fail after all.
    fn fail(&mut self, fails: bool);
}

/// A device for processes that keep nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDisk;

impl Device for NoDisk {
    type Write = ();

    fn write(&mut self, (): &()) -> bool {
        true
    }

    fn unsynced(&self) -> u64 {
        0
    }

    fn crash(&mut self, _kept: u64) {}

    fn fail(&mut self, _fails: bool) {}
}

/// What a process is told by the world that it lives in.
pub type InputOf<P> = Input<<P as Process>::Message, <P as Process>::Order>;

/// What it wants of that world.
pub type OutputOf<P> = Output<<P as Process>::Message, <<P as Process>::Disk as Device>::Write>;

/// What starts a process.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Which process.
    pub id: ProcessId,
    /// Its how manieth life, from 1.
    pub life: u32,
    /// The only randomness it has.
    pub seed: u64,
}

/// A process while it runs. It sees its own clock only. A crash is that it is dropped; while it is
/// stopped it is told nothing, and then everything at once.
pub trait Process: Sized {
    /// What processes say to each other. Its `Debug` text goes into the run's digest.
    type Message: Clone + Debug;
    /// What the scenario tells it.
    type Order: Clone + Debug;
    /// What it writes to, and what is left of it after a crash.
    type Disk: Device;
    /// What it is started with, the same in each life.
    type Setup;

    /// Starts with what is on the disk.
    fn start(
        now: Tick,
        birth: Birth,
        setup: &Self::Setup,
        disk: &mut Self::Disk,
        out: &mut Vec<OutputOf<Self>>,
    ) -> Self;

    /// Takes one input and appends what follows.
    fn step(&mut self, now: Tick, input: InputOf<Self>, out: &mut Vec<OutputOf<Self>>);

    /// What is true at its death, which it does not notice.
    fn died(&self) -> Option<Fact> {
        None
    }

    /// What becomes true when its own clock shows that time, even while it stands still and notices
    /// nothing.
    fn expires(&self) -> Option<(Tick, Fact)> {
        None
    }
}
