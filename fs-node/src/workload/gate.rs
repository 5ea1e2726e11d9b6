//! Where prepared tasks wait for their start, or for the news that there is none.

use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Shut,
    Open,
    GivenUp,
}

/// A gate that opens once.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// One that is shut.
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State::Shut),
            changed: Condvar::new(),
        }
    }

    /// Lets everybody through.
    pub(crate) fn open(&self) {
        self.settle(State::Open);
    }

    /// Sends everybody home, unless it was opened before.
    pub(crate) fn give_up(&self) {
        self.settle(State::GivenUp);
    }

    /// Waits. Whether it was opened.
    pub(crate) fn pass(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = |state: &mut State| *state == State::Shut;
        let state = self.changed.wait_while(state, shut);
        *state.unwrap_or_else(PoisonError::into_inner) == State::Open
    }

    fn settle(&self, to: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Shut {
            *state = to;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_first_word_counts() {
        for (opened, first) in [(true, Gate::open as fn(&Gate)), (false, Gate::give_up)] {
            let gate = Gate::new();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| gate.pass());
                first(&gate);
                gate.give_up();
                gate.open();
                assert_eq!(waiting.join().unwrap(), opened);
            });
            assert_eq!(gate.pass(), opened);
        }
    }
}
