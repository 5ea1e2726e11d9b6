//! One node alone: whatever its tasks do, who holds is what a reader-writer queue says that fits on a
//! page. The lock manager grants everything, and every hook returns at once.

use dlm_core::{Mode, Owner, Status, Tick, Token};
use glock_core::glock::HoldTime;
use glock_core::{
    Glock, GlockName, HolderFlags, HolderId, Input, Message, Output, Release, State, invariants,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Action {
    Enqueue { state: State, tries: bool },
    Release { which: usize },
    Interrupt { which: usize },
}

fn action() -> impl Strategy<Value = Action> {
    let state = prop_oneof![Just(State::Sh), Just(State::Df), Just(State::Ex)];
    prop_oneof![
        3 => (state, any::<bool>()).prop_map(|(state, tries)| Action::Enqueue { state, tries }),
        2 => (0..8usize).prop_map(|which| Action::Release { which }),
        1 => (0..8usize).prop_map(|which| Action::Interrupt { which }),
    ]
}

/// The model: two lists.
#[derive(Default)]
struct Model {
    holds: Vec<(u64, State)>,
    waits: Vec<(u64, State)>,
    failed: Vec<u64>,
}

impl Model {
    fn fits(&self, state: State) -> bool {
        self.holds
            .iter()
            .all(|&(_, held)| held == state && state != State::Ex)
    }

    fn enqueue(&mut self, id: u64, state: State, tries: bool) {
        if tries && (!self.fits(state) || !self.waits.is_empty()) {
            self.failed.push(id);
        } else {
            self.waits.push((id, state));
            self.settle();
        }
    }

    fn remove(&mut self, id: u64) {
        self.holds.retain(|&(other, _)| other != id);
        self.waits.retain(|&(other, _)| other != id);
        self.settle();
    }

    fn settle(&mut self) {
        while self
            .waits
            .first()
            .is_some_and(|&(_, state)| self.fits(state))
        {
            self.holds.push(self.waits.remove(0));
        }
    }
}

/// The real one, run until nothing is under way.
struct Real {
    glock: Glock,
    mode: Option<Mode>,
    failed: Vec<u64>,
}

impl Real {
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.glock.step(Tick(1), input, &mut out);
            invariants::check(&self.glock).unwrap();
            for output in out {
                inputs.extend(self.answer(output));
            }
        }
    }

    fn answer(&mut self, output: Output) -> Option<Input> {
        let mut reply = |mode| {
            self.mode = Some(mode);
            Some(Input::Reply {
                status: Status::Granted,
                mode: Some(mode),
                token: Token(1),
            })
        };
        match output {
            Output::Dlm(Message::Request { mode, .. } | Message::Convert { mode, .. }) => {
                reply(mode)
            }
            Output::Sync | Output::Invalidate { .. } => Some(Input::HookDone),
            Output::Instantiate => Some(Input::Instantiated { ok: true }),
            Output::Failed { holder, .. } => {
                self.failed.push(holder.0);
                None
            }
            Output::Dlm(Message::Unlock | Message::Cancel) => panic!("nobody asked for {output:?}"),
            Output::Granted { .. } | Output::ArmTimer { .. } => None,
        }
    }

    fn list(&self, granted: bool) -> Vec<(u64, State)> {
        let listed = self
            .glock
            .holders()
            .filter(|holder| holder.granted == granted);
        listed.map(|holder| (holder.id.0, holder.state)).collect()
    }
}

fn run(actions: Vec<Action>) {
    let glock = Glock::new(GlockName::inode(1), HoldTime::NONE);
    let mut real = Real {
        glock,
        mode: None,
        failed: Vec::new(),
    };
    let mut model = Model::default();
    for (id, action) in (1..).zip(actions) {
        match action {
            Action::Enqueue { state, tries } => {
                let flags = if tries {
                    HolderFlags::TRY
                } else {
                    HolderFlags::empty()
                };
                let (holder, owner) = (HolderId(id), Owner(id));
                real.step(Input::Enqueue {
                    holder,
                    state,
                    flags,
                    owner,
                });
                model.enqueue(id, state, tries);
            }
            Action::Release { which } => {
                if let Some(&(id, _)) = model.holds.get(which) {
                    let release = Release::Normal;
                    real.step(Input::Dequeue {
                        holder: HolderId(id),
                        release,
                    });
                    model.remove(id);
                }
            }
            Action::Interrupt { which } => {
                if let Some(&(id, _)) = model.waits.get(which) {
                    real.step(Input::CancelWait {
                        holder: HolderId(id),
                    });
                    model.remove(id);
                    model.failed.push(id);
                }
            }
        }
        assert_eq!(real.list(true), model.holds);
        assert_eq!(real.list(false), model.waits);
        assert_eq!(real.failed, model.failed);
        assert_eq!(real.mode.unwrap_or(Mode::Nl), real.glock.state().mode());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn who_holds_is_what_the_model_says(actions in prop::collection::vec(action(), 1..60)) {
        run(actions);
    }
}
