//! Scripted scenarios: one glock, its caller and the lock manager played by hand.

mod demotion;
mod failure;
mod grants;
mod tries;

use alloc::vec;
use alloc::vec::Vec;

use dlm_core::{Mode, Owner, RequestFlags, Status, Tick, Token};

use super::*;
use crate::{HolderFlags, invariants};

/// Plays one glock, and checks the invariants after every step.
struct Play {
    glock: Glock,
    now: Tick,
}

const PLAIN: HolderFlags = HolderFlags::empty();
const QUECVT: RequestFlags = RequestFlags::QUECVT;
const NONE: RequestFlags = RequestFlags::empty();

impl Play {
    fn new() -> Self {
        Self::with_hold(HoldTime::NONE)
    }

    fn with_hold(hold: HoldTime) -> Self {
        Self {
            glock: Glock::new(GlockName::inode(1), hold),
            now: Tick(1_000_000),
        }
    }

    /// A glock that is cached in `state` and held by nobody.
    fn cached(state: State) -> Self {
        Self::cached_with_hold(state, HoldTime::NONE)
    }

    fn cached_with_hold(state: State, hold: HoldTime) -> Self {
        let mut play = Self::with_hold(hold);
        play.enqueue(99, state, PLAIN);
        play.granted(state.mode());
        play.step(Input::Instantiated { ok: true });
        play.release(99);
        assert_eq!(
            (play.glock.state(), play.glock.queue.holders.len()),
            (state, 0)
        );
        play
    }

    #[track_caller]
    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.glock.step(self.now, input, &mut out);
        assert_eq!(invariants::check(&self.glock), Ok(()), "{:#?}", self.glock);
        out
    }

    fn enqueue(&mut self, id: u64, state: State, flags: HolderFlags) -> Vec<Output> {
        self.step(Input::Enqueue {
            holder: HolderId(id),
            state,
            flags,
            owner: Owner(id),
        })
    }

    fn release(&mut self, id: u64) -> Vec<Output> {
        self.step(Input::Dequeue {
            holder: HolderId(id),
            release: Release::Normal,
        })
    }

    fn yields(&mut self, id: u64) -> Vec<Output> {
        self.step(Input::Dequeue {
            holder: HolderId(id),
            release: Release::Yield,
        })
    }

    fn callback(&mut self, wanted: Mode) -> Vec<Output> {
        self.step(Input::Callback { wanted })
    }

    /// The lock manager grants what was asked for.
    fn granted(&mut self, mode: Mode) -> Vec<Output> {
        self.reply(Status::Granted, Some(mode))
    }

    fn reply(&mut self, status: Status, mode: Option<Mode>) -> Vec<Output> {
        self.step(Input::Reply {
            status,
            mode,
            token: Token(5),
        })
    }

    fn hook_done(&mut self) -> Vec<Output> {
        self.step(Input::HookDone)
    }

    fn after(&mut self, micros: u64) -> &mut Self {
        self.now = self.now.plus(micros);
        self
    }
}

fn granted(id: u64) -> Output {
    Output::Granted {
        holder: HolderId(id),
        token: Token(5),
    }
}

fn failed(id: u64, why: Failure) -> Output {
    Output::Failed {
        holder: HolderId(id),
        why,
    }
}

fn request(mode: Mode, flags: RequestFlags, owner: u64) -> Output {
    Output::Dlm(Message::Request {
        mode,
        flags,
        owner: Owner(owner),
    })
}

fn convert(mode: Mode, flags: RequestFlags, owner: u64) -> Output {
    Output::Dlm(Message::Convert {
        mode,
        flags,
        owner: Owner(owner),
    })
}

const UNLOCK: Output = Output::Dlm(Message::Unlock);
const CANCEL: Output = Output::Dlm(Message::Cancel);

const fn invalidate(to: State) -> Output {
    Output::Invalidate { to }
}

#[test]
fn the_life_of_a_glock() {
    let mut play = Play::new();
    assert!(play.glock.is_free());
    assert_eq!(
        play.enqueue(1, State::Ex, PLAIN),
        vec![request(Mode::Ex, NONE, 1)]
    );
    assert_eq!(play.granted(Mode::Ex), vec![Output::Instantiate]);
    assert_eq!(
        play.step(Input::Instantiated { ok: true }),
        vec![granted(1)]
    );
    assert_eq!(play.release(1), vec![], "the lock stays cached");
    assert_eq!(
        play.enqueue(2, State::Sh, PLAIN),
        vec![granted(2)],
        "and costs no message again"
    );
    assert_eq!(play.release(2), vec![]);
    assert_eq!(play.callback(Mode::Ex), vec![Output::Sync]);
    assert_eq!(play.hook_done(), vec![invalidate(State::Un)]);
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
    assert_eq!(play.granted(Mode::Nl), vec![]);
    assert!(!play.glock.is_free(), "the NL lock is kept");
    assert_eq!(
        play.enqueue(3, State::Sh, PLAIN),
        vec![convert(Mode::Pr, QUECVT, 3)]
    );
    assert_eq!(play.granted(Mode::Pr), vec![Output::Instantiate]);
    assert_eq!(
        play.step(Input::Instantiated { ok: true }),
        vec![granted(3)]
    );
    assert_eq!(play.release(3), vec![]);
    assert_eq!(play.step(Input::Free), vec![invalidate(State::Un)]);
    assert_eq!(play.hook_done(), vec![UNLOCK]);
    assert_eq!(play.reply(Status::Unlocked, None), vec![]);
    assert!(play.glock.is_free());
}
